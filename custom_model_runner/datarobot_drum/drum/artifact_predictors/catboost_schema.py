"""The input schema of a CatBoost model: category, text and embedding features, by position; all others are numbers.

CatBoost hashes the text of a category: ``1`` for a whole number, ``True`` for a truth value. An empty cell is the
category of empty text, as for CatBoost itself when it reads a csv; in a frame, CatBoost takes no missing category.
"""

from __future__ import annotations

from typing import Any

from datarobot_drum.drum.artifact_predictors.frameworks import module_roots
from datarobot_drum.drum.input_schema.columns import ANY, NUMBER, Column, ColumnType, InputSchema

_FILLED_TEXT = Column(ColumnType.TEXT, fill="")


def input_schema_of(estimator: Any) -> InputSchema | None:
    """Return the columns of a trained model of CatBoost; None for any other object."""
    if "catboost" not in module_roots(estimator) or not estimator.is_fitted():
        return None
    names = estimator.feature_names_ or []
    columns = [NUMBER] * len(names)
    for position in (*estimator.get_cat_feature_indices(), *estimator.get_text_feature_indices()):
        columns[position] = _FILLED_TEXT
    for position in estimator.get_embedding_feature_indices():
        columns[position] = ANY
    # CatBoost numbers the columns of an array.
    is_named = list(names) != [str(position) for position in range(len(names))]
    return InputSchema(tuple(columns), tuple(names) if is_named else None, accepts_missing=True)
