"""Pipelines that compute in the array of their samples, which takes half the memory where that array is large.

scikit-learn's scalers copy the samples before they change them. Samples that this package has read are nobody else's.
"""

from __future__ import annotations

import copy
from typing import Any

_SCALERS = frozenset({"MaxAbsScaler", "MinMaxScaler", "RobustScaler", "StandardScaler"})
"""They change each number of the copy in place, so without the copy they compute the same."""


def with_inplace_scalers(estimator: Any) -> Any:
    """A pipeline of the same trained steps whose scalers at its beginning overwrite their samples.

    Whatever is no pipeline, or begins otherwise, is given back as it is. ``estimator`` itself never changes.
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
    """Whether it is one of scikit-learn's own, not of a class derived from it."""
    kind = type(part)
    return kind.__name__ in names and kind.__module__.startswith(f"sklearn.{module}")


def _copy_with(part: Any, **parameters: Any) -> Any:
    changed = copy.copy(part)
    for name, value in parameters.items():
        setattr(changed, name, value)
    return changed
