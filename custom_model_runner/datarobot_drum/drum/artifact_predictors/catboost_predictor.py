"""CatBoost: native ``.cbm`` files and pickles, loaded as CatBoost's scikit-learn estimators.

A native file contains the class names, so columns are matched to labels as for any estimator.

Thread safety: predicting does not change a loaded model; the library documents it as safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import catboost

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactOutput, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.catboost_schema import input_schema_of
from datarobot_drum.drum.artifact_predictors.estimator_kind import require_fitting_kind
from datarobot_drum.drum.artifact_predictors.estimators import bind_estimator
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.artifact_predictors.model_labels import estimator_classes
from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.input_schema.columns import InputSchema
from datarobot_drum.drum.tabular.column_hints import list_names

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
        is_plain = type(model) is catboost.CatBoost and len(model.classes_) > 0
        bound = bind_estimator(_ProbabilityClassifier(model) if is_plain else model, settings)
        embeddings = tuple(model.get_embedding_feature_indices())
        return _EmbeddingModel(bound, embeddings) if embeddings else bound


@dataclass(frozen=True)
class _EmbeddingModel:
    """A model with columns of vectors, which Parquet and Arrow files can hold and a csv cannot."""

    model: ArtifactModel
    embeddings: tuple[int, ...]
    accepts_numeric_table = False

    def predict(self, data: Any) -> ArtifactOutput:
        names = [str(data.columns[position]) for position in self.embeddings if _is_scalar(data.iloc[:, position])]
        if names:
            raise UnprocessableInput(
                f"The model takes vectors of numbers (embeddings) in these columns: {list_names(names)}. A csv cannot "
                "hold them: score a Parquet file, or add a read_input_data hook to custom.py."
            )
        return self.model.predict(data)


def _is_scalar(cells: Any) -> bool:
    return any(isinstance(cell, str) or not hasattr(cell, "__len__") for cell in cells)


class _ProbabilityClassifier:
    """A plain ``CatBoost`` model with ``predict_proba``: its own ``predict`` returns raw scores by default."""

    def __init__(self, model: Any) -> None:
        self.classes_ = model.classes_
        self._model = model

    def predict_proba(self, data: Any) -> Any:
        return self._model.predict(data, prediction_type="Probability")
