"""Which estimators see no difference between a frame of numbers and the array in it.

scikit-learn turns a frame into an array before it computes: handing over that very array spares the way there, which
for a single row costs more than most predictions. But some of its estimators pick columns by name or by type, hand the
frame to a function of the user, or give frames back when asked to; and of estimators of others nothing is known.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

_FRAME_DEPENDENT = frozenset({"ColumnTransformer", "FunctionTransformer"})
_NAMES_WARNING = "X does not have valid feature names"


def accepts_arrays(estimator: Any) -> bool:
    """Whether ``estimator`` predicts an array as it does a frame of the same numbers, to the last bit."""
    accepts = all(_part_accepts_arrays(part) for part in _nested_estimators(estimator)) and _outputs_arrays()
    if accepts and hasattr(estimator, "feature_names_in_"):
        # Names are matched before the array is made.
        warnings.filterwarnings("ignore", message=_NAMES_WARNING, category=UserWarning)
    return accepts


def _nested_estimators(estimator: Any) -> list[Any]:
    """The estimator and every one inside it, trained or not."""
    get_params = getattr(estimator, "get_params", None)
    inside = get_params(deep=True).values() if callable(get_params) else ()
    return [estimator, *(value for value in inside if hasattr(value, "fit"))]


def _part_accepts_arrays(part: Any) -> bool:
    kind = type(part)
    return (
        kind.__module__.startswith("sklearn.")
        and kind.__name__ not in _FRAME_DEPENDENT
        and not getattr(part, "_sklearn_output_config", None)
        # Gradient boosting of histograms, trained on columns of type category.
        and getattr(part, "_preprocessor", None) is None
    )


def _outputs_arrays() -> bool:
    scikit_learn = sys.modules.get("sklearn")
    return scikit_learn is not None and scikit_learn.get_config().get("transform_output") == "default"
