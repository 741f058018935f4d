"""LightGBM: native text files as a ``Booster``, and the scikit-learn classes from pickles.

A native file contains no class names, only their numbers from 0 on. Labels that are these numbers are matched; of any
others the k-th is class k, a lone column is that of class 1.

Thread safety: a loaded booster may predict in several threads; the library takes a shared lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import lightgbm

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.class_columns import bind_numbers, require_column_count
from datarobot_drum.drum.artifact_predictors.estimator_kind import require_fitting_kind
from datarobot_drum.drum.artifact_predictors.estimators import bind_estimator
from datarobot_drum.drum.artifact_predictors.features import to_csr
from datarobot_drum.drum.artifact_predictors.lightgbm_schema import input_schema_of, read_header
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.artifact_predictors.model_labels import estimator_classes, order_numbered_classes
from datarobot_drum.drum.compiled_models.prediction_function import PredictionFunction
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.input_schema.columns import InputSchema
from datarobot_drum.drum.settings.target_types import TargetType

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

_CLASSIFIERS = ("binary", "multiclass", "multiclassova")
_REGRESSORS = (
    "regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma", "tweedie",
)  # fmt: skip


class LightGBMPredictor(ArtifactPredictor):
    name = "lightgbm"
    extensions = ()

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        with artifact_load_errors(path):
            return lightgbm.Booster(model_file=str(path))

    def accepts(self, model: Any) -> bool:
        return isinstance(model, lightgbm.Booster) or hasattr(model, "predict")

    def require_fitting_target(self, model: Any, settings: ModelSettings) -> None:
        if isinstance(model, lightgbm.Booster):
            _require_fitting_objective(_objective(read_header(model)), settings)
        else:
            require_fitting_kind(model, settings)

    def class_names(self, model: Any) -> Sequence[Any] | None:
        if not isinstance(model, lightgbm.Booster):
            return estimator_classes(model)
        is_classifier = _objective(read_header(model)) in _CLASSIFIERS
        return range(max(2, model.num_model_per_iteration())) if is_classifier else None

    def input_schema(self, model: Any) -> InputSchema:
        return input_schema_of(model) or InputSchema()

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        if not isinstance(model, lightgbm.Booster):
            return bind_estimator(model, settings)
        outputs = model.num_model_per_iteration()
        require_column_count(outputs, settings)
        is_classification = settings.target_type.is_classification
        order = order_numbered_classes(max(2, outputs), settings) if is_classification else None
        function = PredictionFunction(lambda data: model.predict(to_csr(data)), model, "predict")
        return bind_numbers(function, settings, order)


def _require_fitting_objective(objective: str, settings: ModelSettings) -> None:
    target_type = settings.target_type
    if target_type is TargetType.MULTICLASS and objective == "multiclassova":
        raise ModelLoadError(
            "The model's objective multiclassova gives probabilities that do not sum to 1: train with multiclass."
        )
    if target_type is TargetType.REGRESSION and objective in _CLASSIFIERS:
        kind = "binary" if objective == "binary" else "multiclass"
        raise ModelLoadError(f"The model's objective {objective} is that of a classifier: give --target-type {kind}.")
    if target_type.has_class_labels and objective in _REGRESSORS:
        raise ModelLoadError(
            f"The model's objective {objective} is that of a regressor, without class probabilities: give "
            "--target-type regression."
        )


def _objective(header: dict[str, str]) -> str:
    """Return the objective without its parameters."""
    return header["objective"].partition(" ")[0]
