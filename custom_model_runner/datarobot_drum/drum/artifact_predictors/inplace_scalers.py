"""Pipelines whose scalers overwrite their samples, which halves the memory for large arrays.

scikit-learn's scalers copy the samples before they change them. Samples that this package has read have no other user.
"""

from __future__ import annotations

import copy
from typing import Any

_SCALERS = frozenset({"MaxAbsScaler", "MinMaxScaler", "RobustScaler", "StandardScaler"})
"""These change each number of the copy in place, so they compute the same without the copy."""


def with_inplace_scalers(estimator: Any) -> Any:
    """Return a copy of a pipeline whose leading scalers overwrite their samples.

    Any other estimator is returned as it is. ``estimator`` itself is never changed.
    """
    if not _is_sklearn_class(estimator, "pipeline", frozenset({"Pipeline"})):
        return estimator
    steps = list(estimator.steps)
    for position, (name, step) in enumerate(steps):
        if not _is_sklearn_class(step, "preprocessing", _SCALERS):
            break
        steps[position] = (name, _copy_with(step, copy=False))
    return _copy_with(estimator, steps=steps)


def _is_sklearn_class(part: Any, module: str, names: frozenset[str]) -> bool:
    """Return True for an instance of one of these scikit-learn classes, but not of a subclass."""
    kind = type(part)
    return kind.__name__ in names and kind.__module__.startswith(f"sklearn.{module}")


def _copy_with(part: Any, **parameters: Any) -> Any:
    changed = copy.copy(part)
    for name, value in parameters.items():
        setattr(changed, name, value)
    return changed
