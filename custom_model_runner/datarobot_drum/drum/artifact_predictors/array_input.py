"""Detect estimators that predict the same from an array as from a frame of numbers.

scikit-learn converts a frame to an array before it computes. Passing the array skips that conversion, which for one row
costs more than most predictions. Some estimators do need the frame: they select columns by name or type, pass the
frame to a user's function, or return frames. Estimators of other libraries always get a frame.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

_FRAME_DEPENDENT = frozenset({"ColumnTransformer", "FunctionTransformer"})
_NAMES_WARNING = "X does not have valid feature names"


def accepts_arrays(estimator: Any) -> bool:
    """Return True if ``estimator`` predicts an array bit for bit as a frame of the same numbers."""
    accepts = all(_part_accepts_arrays(part) for part in _nested_estimators(estimator)) and _outputs_arrays()
    if accepts and hasattr(estimator, "feature_names_in_"):
        # The caller has matched the column names already.
        warnings.filterwarnings("ignore", message=_NAMES_WARNING, category=UserWarning)
    return accepts


def _nested_estimators(estimator: Any) -> list[Any]:
    """Return the estimator and all nested ones, trained or not."""
    get_params = getattr(estimator, "get_params", None)
    inside = get_params(deep=True).values() if callable(get_params) else ()
    return [estimator, *(value for value in inside if hasattr(value, "fit"))]


def _part_accepts_arrays(part: Any) -> bool:
    kind = type(part)
    return (
        kind.__module__.startswith("sklearn.")
        and kind.__name__ not in _FRAME_DEPENDENT
        and not getattr(part, "_sklearn_output_config", None)
        # Set by histogram gradient boosting that was trained on categorical columns.
        and getattr(part, "_preprocessor", None) is None
    )


def _outputs_arrays() -> bool:
    scikit_learn = sys.modules.get("sklearn")
    return scikit_learn is not None and scikit_learn.get_config().get("transform_output") == "default"
