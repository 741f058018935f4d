"""Pipelines that compute in the array of their samples, which takes half the memory where that array is large.

scikit-learn's scalers copy the samples before they change them. Samples that this package has read are nobody else's.
"""

from __future__ import annotations

import copy
from typing import Any

_SCALERS = frozenset({"MaxAbsScaler", "MinMaxScaler", "RobustScaler", "StandardScaler"})
"""They change each number of the copy in place, so without the copy they compute the same."""


def overwriting(estimator: Any) -> Any:
    """A pipeline of the same trained steps whose scalers at its beginning overwrite their samples.

    Whatever is no pipeline, or begins otherwise, is given back as it is. ``estimator`` itself never changes.
    """
    if not _is(estimator, "pipeline", frozenset({"Pipeline"})):
        return estimator
    steps = list(estimator.steps)
    for place, (name, step) in enumerate(steps):
        if not _is(step, "preprocessing", _SCALERS):
            break
        steps[place] = (name, _changed(step, copy=False))
    return _changed(estimator, steps=steps)


def _is(part: Any, room: str, names: frozenset[str]) -> bool:
    """Whether it is one of scikit-learn's own, not of a class derived from it."""
    kind = type(part)
    return kind.__name__ in names and kind.__module__.startswith(f"sklearn.{room}")


def _changed(part: Any, **parameters: Any) -> Any:
    changed = copy.copy(part)
    for name, value in parameters.items():
        setattr(changed, name, value)
    return changed
