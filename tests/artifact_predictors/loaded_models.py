"""The type of the fixture ``load``, and predictions of a loaded model."""

import io
from collections.abc import Callable

import pandas as pd

from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload

Load = Callable[..., BasePredictor]
"""From a target type, labels and optionally a model to pickle, to the loaded predictor."""


def predict_csv(predictor: BasePredictor, data: pd.DataFrame) -> Predictions:
    """Predict the rows of ``data``, sent as csv."""
    content = io.BytesIO(data.to_csv(index=False).encode())
    return predictor.predict(predictor.read_input(StructuredPayload(content, PayloadFormat.CSV)))
