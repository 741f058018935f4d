"""A model in the process of a command, loaded and in the end closed."""

from collections.abc import Iterator
from contextlib import contextmanager

from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.settings import ModelSettings


@contextmanager
def loaded_model(model: ModelSettings) -> Iterator[BasePredictor]:
    """The predictor of a model, as a server would have it.

    Raises:
        ModelLoadError: it could not be found or loaded.
    """
    predictor = create_predictor(model)
    predictor.load()
    try:
        yield predictor
    finally:
        predictor.close()
