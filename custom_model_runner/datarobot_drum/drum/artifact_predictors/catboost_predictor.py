"""CatBoost: native ``.cbm`` files and pickles, loaded as CatBoost's scikit-learn estimators.

A native file contains the class names, so columns are matched to labels as for any estimator.

Thread safety: predicting does not change a loaded model; the library documents it as safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import catboost

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.catboost_schema import input_schema_of
from datarobot_drum.drum.artifact_predictors.estimator_kind import require_fitting_kind
from datarobot_drum.drum.artifact_predictors.estimators import bind_estimator
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.artifact_predictors.model_labels import estimator_classes
from datarobot_drum.drum.input_schema.columns import InputSchema

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings


class CatBoostPredictor(ArtifactPredictor):
    name = "catboost"
    extensions = (".cbm",)

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        with artifact_load_errors(path):
            is_classifier = len(catboost.CatBoost().load_model(str(path)).classes_) > 0
            estimator = catboost.CatBoostClassifier() if is_classifier else catboost.CatBoostRegressor()
            return estimator.load_model(str(path))

    def accepts(self, model: Any) -> bool:
        return isinstance(model, catboost.CatBoost)

    def require_fitting_target(self, model: Any, settings: ModelSettings) -> None:
        require_fitting_kind(model, settings)

    def class_names(self, model: Any) -> Sequence[Any] | None:
        return estimator_classes(model) or None  # a regressor has an empty list

    def input_schema(self, model: Any) -> InputSchema:
        return input_schema_of(model) or InputSchema()

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        if type(model) is catboost.CatBoost and len(model.classes_) > 0:
            return bind_estimator(_ProbabilityClassifier(model), settings)
        return bind_estimator(model, settings)


class _ProbabilityClassifier:
    """A plain ``CatBoost`` model with ``predict_proba``: its own ``predict`` returns raw scores by default."""

    def __init__(self, model: Any) -> None:
        self.classes_ = model.classes_
        self._model = model

    def predict_proba(self, data: Any) -> Any:
        return self._model.predict(data, prediction_type="Probability")
