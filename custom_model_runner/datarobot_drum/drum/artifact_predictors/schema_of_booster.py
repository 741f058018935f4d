"""The input schemas of LightGBM, XGBoost and CatBoost estimators inside scikit-learn objects."""

from __future__ import annotations

from typing import Any

from datarobot_drum.drum.artifact_predictors.frameworks import module_roots
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.input_schema.columns import InputSchema

_PACKAGE = "datarobot_drum.drum.artifact_predictors"
_MODULES = {root: f"{_PACKAGE}.{root}_schema" for root in ("lightgbm", "xgboost", "catboost")}


def booster_schema(estimator: Any) -> InputSchema | None:
    """Return the columns that an estimator of these libraries takes; None for any other object."""
    root = next((root for root in module_roots(estimator) if root in _MODULES), None)
    if root is None:
        return None
    schema: InputSchema | None = import_from_string(f"{_MODULES[root]}:input_schema_of")(estimator)
    return schema
