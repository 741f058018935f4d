"""From a model folder to the predictor for it, without importing any of its code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.language_predictors.base import BasePredictor

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

PREDICTORS = {"python": "datarobot_drum.drum.language_predictors.python_predictor:PythonPredictor"}
"""By language."""

ENGINE_PREDICTOR = "datarobot_drum.drum.engine_predictors.engine_predictor:EnginePredictor"


def create_predictor(model: ModelSettings) -> BasePredictor:
    """Make the predictor; loading it is a second step.

    Raises:
        ModelLoadError: the language is not served, or the folder holds no model or several.
    """
    language = model.language or "python"
    if language not in PREDICTORS:
        raise ModelLoadError(f"Models in {language!r} are not served; known languages: {', '.join(PREDICTORS)}.")
    if model.engine is not None:
        engine_predictor: BasePredictor = import_from_string(ENGINE_PREDICTOR)(model, model.engine)
        return engine_predictor
    predictor: BasePredictor = import_from_string(PREDICTORS[language])(model)
    return predictor
