"""The form of a model that a compiled one is compared with: the model itself, its sums in a fixed order."""

from __future__ import annotations

from typing import Any

from datarobot_drum.drum.compiled_models.forms import Step
from datarobot_drum.drum.compiled_models.original_classes import SEARCHES, class_name
from datarobot_drum.drum.compiled_models.prediction_function import PredictionFunction

_FORESTS = frozenset({
    "RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor",
})  # fmt: skip


def reference_of(function: PredictionFunction) -> Step:
    """Return what the compiled form of a function must predict."""
    ordered = sequential(function.model)
    if ordered is function.model:
        return function.original
    method: Step = getattr(ordered, function.method)
    return method


def sequential(estimator: Any) -> Any:
    """Return an estimator whose forests sum their trees in order.

    A forest with several jobs sums them in the order in which its threads finish: its last bits vary from call to call.
    """
    name = class_name(estimator)
    if name in SEARCHES:
        ordered = sequential(estimator.best_estimator_)
        is_same = ordered is estimator.best_estimator_
        return estimator if is_same else _copy_with(estimator, best_estimator_=ordered)
    if name == "Pipeline":
        label, last = estimator.steps[-1]
        ordered = sequential(last)
        return estimator if ordered is last else _copy_with(estimator, steps=[*estimator.steps[:-1], (label, ordered)])
    if name not in _FORESTS or estimator.n_jobs in (None, 1):
        return estimator
    return _copy_with(estimator, n_jobs=1)


def _copy_with(part: Any, **attributes: Any) -> Any:
    """Return a shallow copy with other values of some attributes."""
    copied = object.__new__(type(part))
    vars(copied).update(vars(part), **attributes)
    return copied
