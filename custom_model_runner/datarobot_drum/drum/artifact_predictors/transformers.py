"""scikit-learn transformers and compatible objects: anything with ``transform``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from datarobot_drum.drum.artifact_predictors.features import select_features
from datarobot_drum.drum.tabular.lazy_pandas import pd

NAME = "scikit-learn"


def is_transformer(model: Any) -> bool:
    return callable(getattr(model, "transform", None))


def transform_with(model: Any, data: Any) -> tuple[Any, Sequence[Any] | None]:
    """Transform the samples; return them with the column names, None if the transformer has none.

    Raises:
        UnprocessableInput: the samples lack columns that the transformer was trained on.
        Exception: any error of the transformer.
    """
    selected = select_features(model, data)
    return model.transform(selected), _output_names(model, data)


def _output_names(model: Any, data: Any) -> Sequence[Any] | None:
    """Return the output names for the training columns, or without those for the columns of the samples."""
    find_names = getattr(model, "get_feature_names_out", None)
    if find_names is None:
        return None
    knows_names = getattr(model, "feature_names_in_", None) is not None
    given = None if knows_names or not isinstance(data, pd.DataFrame) else [str(name) for name in data.columns]
    return _call_get_names(find_names, given) or _call_get_names(find_names, None)


def _call_get_names(find_names: Callable[[list[str] | None], Any], given: list[str] | None) -> Sequence[Any] | None:
    try:
        return list(find_names(given))
    except (AttributeError, TypeError, ValueError):  # a pipeline step has no names, or rejects these
        return None
