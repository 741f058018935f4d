"""scikit-learn and compatible objects: anything with ``predict`` from a ``.pkl`` or ``.joblib`` file."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.estimator_kind import require_fitting_kind
from datarobot_drum.drum.artifact_predictors.estimators import bind_estimator
from datarobot_drum.drum.artifact_predictors.file_detection import model_modules
from datarobot_drum.drum.artifact_predictors.load_policy import check_pickle
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.artifact_predictors.model_labels import estimator_classes
from datarobot_drum.drum.artifact_predictors.sklearn_schema import input_schema_of
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.input_schema.columns import InputSchema

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings


_STATSMODELS = "datarobot_drum.drum.artifact_predictors.statsmodels_predictor:unpickle"


class SklearnPredictor(ArtifactPredictor):
    """Loader for the pickles of all frameworks; the class of the object then selects the predictor."""

    name = "scikit-learn"
    extensions = (".pkl", ".joblib")

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        check_pickle(path, self.policy)
        with artifact_load_errors(path):
            # Its formulas are evaluated again while they are loaded, which joblib's own frames would hide names from.
            is_statsmodels = model_modules(path)[:1] == ("statsmodels",)
            return import_from_string(_STATSMODELS)(path) if is_statsmodels else _unpickle(path)

    def accepts(self, model: Any) -> bool:
        return any(callable(getattr(model, method, None)) for method in ("predict", "predict_proba"))

    def require_fitting_target(self, model: Any, settings: ModelSettings) -> None:
        require_fitting_kind(model, settings)

    def class_names(self, model: Any) -> Sequence[Any] | None:
        return estimator_classes(model)

    def input_schema(self, model: Any) -> InputSchema:
        return input_schema_of(model)

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        return bind_estimator(model, settings)


def _unpickle(path: Path) -> Any:
    """Load with ``joblib``, which also reads plain pickles; without it, only plain pickles load."""
    try:
        import joblib
    except ImportError:
        with path.open("rb") as file:
            return pickle.load(file)
    return joblib.load(path)
