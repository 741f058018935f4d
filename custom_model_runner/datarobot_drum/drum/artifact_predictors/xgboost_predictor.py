"""XGBoost: native files (JSON and UBJSON) as a ``Booster``, and the scikit-learn classes from pickles.

A native file contains no class names: column k is the k-th declared label, a lone column the positive label's. A file
of a scikit-learn class predicts as that class: after early stopping, with the best iteration. A file of a ``Booster``
predicts with all trees.

Thread safety: predictions of tree models are safe since 1.4. This module changes parameters at load only.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xgboost

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.class_columns import bind_numbers, require_column_count
from datarobot_drum.drum.artifact_predictors.estimators import bind_estimator
from datarobot_drum.drum.artifact_predictors.features import to_csr
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.artifact_predictors.xgboost_schema import input_schema_of
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.input_schema.columns import InputSchema

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

_SOFTMAX, _SOFTPROB = "multi:softmax", "multi:softprob"
_NO_PROBABILITIES = {"binary:logitraw": "binary:logistic", "binary:hinge": "binary:logistic"}


class XGBoostPredictor(ArtifactPredictor):
    name = "xgboost"
    extensions = (".ubj", ".bst")

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        booster = xgboost.Booster()
        with artifact_load_errors(path):
            # XGBoost detects JSON or UBJSON by content in memory, but by name in a file.
            booster.load_model(bytearray(path.read_bytes()))
        return booster

    def accepts(self, model: Any) -> bool:
        return isinstance(model, xgboost.Booster) or hasattr(model, "predict")

    def input_schema(self, model: Any) -> InputSchema:
        return input_schema_of(model) or InputSchema()

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        return _bind_booster(model, settings) if isinstance(model, xgboost.Booster) else bind_estimator(model, settings)


def _bind_booster(booster: Any, settings: ModelSettings) -> ArtifactModel:
    learner = json.loads(booster.save_config())["learner"]
    objective, sizes = learner["objective"]["name"], learner["learner_model_param"]
    if settings.target_type.has_class_labels:
        _require_probabilities(booster, objective)
    model = bind_numbers(_predict_function(booster, _iteration_range(booster)), settings)
    is_class_number = objective == _SOFTMAX and not settings.target_type.has_class_labels
    require_column_count(1 if is_class_number else max(1, int(sizes["num_class"]), int(sizes["num_target"])), settings)
    return model


def _require_probabilities(booster: Any, objective: str) -> None:
    """Switch softmax to softprob, which has the same trees; reject objectives without probabilities."""
    if objective == _SOFTMAX:
        booster.set_param({"objective": _SOFTPROB})
        booster.save_config()  # applies it now: the first predictions may run in several threads
    if objective in _NO_PROBABILITIES:
        raise ModelLoadError(
            f"The model's objective {objective} gives no probabilities: train it with {_NO_PROBABILITIES[objective]}."
        )


def _iteration_range(booster: Any) -> tuple[int, int]:
    attributes = booster.attributes()
    if "scikit_learn" in attributes and "best_iteration" in attributes:
        return 0, booster.best_iteration + 1
    return 0, 0


def _predict_function(booster: Any, rounds: tuple[int, int]) -> Any:
    names, types = booster.feature_names, booster.feature_types

    def predict(data: Any) -> Any:
        data = _with_category_codes(data) if isinstance(data, pd.DataFrame) else data
        matrix = xgboost.DMatrix(to_csr(data), feature_names=names, feature_types=types, enable_categorical=True)
        return booster.predict(matrix, iteration_range=rounds)

    return predict


def _with_category_codes(frame: pd.DataFrame) -> pd.DataFrame:
    """Replace categories by their codes: files of versions before 3.1 store none that XGBoost could compare."""
    codes = {
        name: frame[name].cat.codes.astype(np.float32).replace(-1.0, np.nan)
        for name, dtype in frame.dtypes.items()
        if isinstance(dtype, pd.CategoricalDtype)
    }
    return frame.assign(**codes) if codes else frame
