"""XGBoost: native files (JSON and UBJSON) as a ``Booster``, and the scikit-learn classes from pickles.

A native file contains no class names, only their numbers from 0 on. Labels that are these numbers are matched; of any
others the k-th is class k, a lone column is that of class 1. A file of a scikit-learn class predicts as that class:
after early stopping, with the best iteration. A file of a ``Booster`` predicts with all trees.

Thread safety: predictions of tree models are safe since 1.4. This module changes parameters at load only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xgboost

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.class_columns import bind_numbers, require_column_count
from datarobot_drum.drum.artifact_predictors.estimator_kind import require_fitting_kind
from datarobot_drum.drum.artifact_predictors.estimators import bind_estimator
from datarobot_drum.drum.artifact_predictors.features import to_csr
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.artifact_predictors.model_labels import estimator_classes, order_numbered_classes
from datarobot_drum.drum.artifact_predictors.xgboost_schema import input_schema_of
from datarobot_drum.drum.compiled_models.booster_rounds import iteration_range
from datarobot_drum.drum.compiled_models.prediction_function import PredictionFunction
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.input_schema.columns import InputSchema
from datarobot_drum.drum.settings.target_types import TargetType

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

_SOFTMAX, _SOFTPROB = "multi:softmax", "multi:softprob"
_REGRESSION_ONLY = (
    "reg:squared", "reg:absolute", "reg:pseudohuber", "reg:quantile", "reg:gamma", "reg:tweedie", "count:", "survival:",
)  # fmt: skip
"""Prefixes of objectives that predict no probability; ``reg:logistic`` and custom ones may."""

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

    def require_fitting_target(self, model: Any, settings: ModelSettings) -> None:
        if isinstance(model, xgboost.Booster):
            _require_fitting_objective(_learner(model)["objective"]["name"], settings)
        else:
            require_fitting_kind(model, settings)

    def class_names(self, model: Any) -> Sequence[Any] | None:
        if not isinstance(model, xgboost.Booster):
            return estimator_classes(model)
        learner = _learner(model)
        count = max(2, int(learner["learner_model_param"]["num_class"]))
        return range(count) if _is_classifier(learner["objective"]["name"]) else None

    def input_schema(self, model: Any) -> InputSchema:
        return input_schema_of(model) or InputSchema()

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        return _bind_booster(model, settings) if isinstance(model, xgboost.Booster) else bind_estimator(model, settings)


def _bind_booster(booster: Any, settings: ModelSettings) -> ArtifactModel:
    learner = _learner(booster)
    objective, sizes = learner["objective"]["name"], learner["learner_model_param"]
    target_type = settings.target_type
    if target_type.has_class_labels:
        _require_probabilities(booster, objective)
    outputs = max(1, int(sizes["num_class"]), int(sizes["num_target"]))
    require_column_count(1 if objective == _SOFTMAX and not target_type.has_class_labels else outputs, settings)
    order = order_numbered_classes(max(2, outputs), settings) if target_type.is_classification else None
    function = PredictionFunction(_predict_function(booster, iteration_range(booster)), booster, "predict")
    return bind_numbers(function, settings, order)


def _require_fitting_objective(objective: str, settings: ModelSettings) -> None:
    if settings.target_type is TargetType.REGRESSION and _is_classifier(objective):
        kind = "multiclass" if objective.startswith("multi:") else "binary"
        raise ModelLoadError(f"The model's objective {objective} is that of a classifier: give --target-type {kind}.")
    if settings.target_type.has_class_labels and objective.startswith(_REGRESSION_ONLY):
        raise ModelLoadError(
            f"The model's objective {objective} is that of a regressor, without class probabilities: give "
            "--target-type regression."
        )


def _learner(booster: Any) -> dict[str, Any]:
    learner: dict[str, Any] = json.loads(booster.save_config())["learner"]
    return learner


def _is_classifier(objective: str) -> bool:
    return objective.startswith(("binary:", "multi:"))


def _require_probabilities(booster: Any, objective: str) -> None:
    """Switch softmax to softprob, which has the same trees; reject objectives without probabilities."""
    if objective == _SOFTMAX:
        booster.set_param({"objective": _SOFTPROB})
        booster.save_config()  # applies it now: the first predictions may run in several threads
    if objective in _NO_PROBABILITIES:
        raise ModelLoadError(
            f"The model's objective {objective} gives no probabilities: train it with {_NO_PROBABILITIES[objective]}."
        )


def _predict_function(booster: Any, rounds: tuple[int, int]) -> Any:
    names, types = booster.feature_names, booster.feature_types

    def predict(data: Any) -> Any:
        data = _with_category_codes(data) if isinstance(data, pd.DataFrame) else data
        matrix = xgboost.DMatrix(to_csr(data), feature_names=names, feature_types=types, enable_categorical=True)
        return booster.predict(matrix, iteration_range=rounds)

    return predict


def _with_category_codes(frame: pd.DataFrame) -> pd.DataFrame:
    """Replace categories by their codes: files of versions before 3.1 store none that XGBoost could compare."""
    names = [name for name, dtype in frame.dtypes.items() if isinstance(dtype, pd.CategoricalDtype)]
    if not names:
        return frame
    coded = frame.copy(deep=False)
    for name in names:
        coded[name] = frame[name].cat.codes.astype(np.float32).replace(-1.0, np.nan)
    return coded
