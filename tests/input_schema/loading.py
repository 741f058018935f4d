"""Models loaded from a pickle, and their predictions of csv and Matrix Market."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload

LoadModel = Callable[..., BasePredictor]
"""From a fitted model (None for hooks alone), the declared input schema, the source of custom.py and other settings."""


def predict_csv(predictor: BasePredictor, csv: str) -> list[Any]:
    """Return the values of each row, or the value of a single column."""
    values = predictor.predict(predictor.read_input(csv_payload(csv))).values
    rows: list[Any] = np.squeeze(values, axis=1).tolist() if values.shape[1] == 1 else values.tolist()
    return rows


def csv_payload(csv: str) -> StructuredPayload:
    return StructuredPayload(io.BytesIO(csv.encode()), PayloadFormat.CSV)


def mtx_payload(text: str) -> StructuredPayload:
    return StructuredPayload(io.BytesIO(text.encode()), PayloadFormat.MTX)
