"""The type of the fixture ``load``."""

from collections.abc import Callable

from datarobot_drum.drum.language_predictors.base import BasePredictor

Load = Callable[..., BasePredictor]
"""Target type, labels and, to be pickled, a model in; the loaded predictor out."""
