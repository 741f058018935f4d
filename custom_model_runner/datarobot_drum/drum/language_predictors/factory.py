"""Create the predictor of a model folder, without importing the model's code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.checksums import check_folder

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

PREDICTORS = {"python": "datarobot_drum.drum.language_predictors.python_predictor:PythonPredictor"}
"""Import strings by language."""

ROUTED_PREDICTOR = "datarobot_drum.drum.language_predictors.routed_predictor:RoutedPredictor"
ENGINE_PREDICTOR = "datarobot_drum.drum.engine_predictors.engine_predictor:EnginePredictor"


def create_predictor(model: ModelSettings) -> BasePredictor:
    """Create the predictor, or those of several models, without loading them.

    Raises:
        ModelLoadError: the language is unknown, or the folder contains no model or several.
        ChecksumError: a file differs from ``model.sha256``.
    """
    check_folder(model.code_dir)
    if model.models:
        routed: BasePredictor = import_from_string(ROUTED_PREDICTOR)(model, create_predictor)
        return routed
    language = model.language or "python"
    if language not in PREDICTORS:
        raise ModelLoadError(f"Models in {language!r} are not served; known languages: {', '.join(PREDICTORS)}.")
    if model.engine is not None:
        engine_predictor: BasePredictor = import_from_string(ENGINE_PREDICTOR)(model, model.engine)
        return engine_predictor
    predictor: BasePredictor = import_from_string(PREDICTORS[language])(model)
    return predictor
