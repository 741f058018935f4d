"""LightGBM: native text files as a ``Booster``, and the scikit-learn classes from pickles.

A native file contains no class names: column k is the k-th declared label, a lone column the positive label's.

Thread safety: a loaded booster may predict in several threads; the library takes a shared lock.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import lightgbm

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.class_columns import bind_numbers, require_column_count
from datarobot_drum.drum.artifact_predictors.estimators import bind_estimator
from datarobot_drum.drum.artifact_predictors.features import to_csr
from datarobot_drum.drum.artifact_predictors.lightgbm_schema import input_schema_of, read_header
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.input_schema.columns import InputSchema
from datarobot_drum.drum.settings.target_types import TargetType

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings


class LightGBMPredictor(ArtifactPredictor):
    name = "lightgbm"
    extensions = ()

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        with artifact_load_errors(path):
            return lightgbm.Booster(model_file=str(path))

    def accepts(self, model: Any) -> bool:
        return isinstance(model, lightgbm.Booster) or hasattr(model, "predict")

    def input_schema(self, model: Any) -> InputSchema:
        return input_schema_of(model) or InputSchema()

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        if not isinstance(model, lightgbm.Booster):
            return bind_estimator(model, settings)
        header = read_header(model)
        if settings.target_type is TargetType.MULTICLASS and header["objective"].startswith("multiclassova"):
            raise ModelLoadError(
                "The model's objective multiclassova gives probabilities that do not sum to 1: train with multiclass."
            )
        bound = bind_numbers(lambda data: model.predict(to_csr(data)), settings)
        require_column_count(model.num_model_per_iteration(), settings)
        return bound
