"""Encodes predictions as the JSON document of ``/predict/``."""

from typing import Any

import numpy as np
import orjson

from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.language_predictors.json_values import encode, encode_cells, records
from datarobot_drum.drum.serving.messages import ModelResponse
from datarobot_drum.drum.settings.target_types import TargetType

BLOCK_ROWS = 1000
"""Rows encoded at a time. Meanwhile their numbers are Python objects, ten times as large as their text."""


def predictions_response(predictions: Predictions, target_type: TargetType) -> ModelResponse:
    """Encode ``{"predictions": [...]}``, one element a row, and ``extraModelOutput`` for extra columns.

    Raises:
        PredictionError: the model returned a value that JSON cannot carry.
    """
    parts = [b'{"predictions":', encode_elements(predictions, target_type)]
    if predictions.extra is not None and len(predictions.extra.columns):
        parts += [b',"extraModelOutput":', encode_extra(predictions.extra)]
    return ModelResponse(b"".join([*parts, b"}"]))


def encode_elements(predictions: Predictions, target_type: TargetType) -> bytes:
    """Return ``encode(elements(...))``, but encode numbers directly from their array.

    Raises:
        PredictionError: the model returned a value that JSON cannot carry.
    """
    values = predictions.values
    if values.dtype != np.float64:
        return encode_cells(elements(predictions, target_type), predictions.columns)
    if not _has_names(predictions, target_type) or not len(values):
        return _encode_numbers(values)
    fields = b",".join(encode(name).replace(b"%", b"%%") + b":%b" for name in predictions.columns)
    row = b"{" + fields + b"}"
    blocks = (values[begin : begin + BLOCK_ROWS] for begin in range(0, len(values), BLOCK_ROWS))
    return b"[%b]" % b",".join([_fill(row, block) for block in blocks])


def _fill(row: bytes, values: np.ndarray) -> bytes:
    """Fill the template ``row`` with every row of ``values``."""
    rows = b",".join([row] * len(values))
    return rows % tuple(_encode_numbers(values)[1:-1].split(b","))


def _encode_numbers(values: np.ndarray) -> bytes:
    return orjson.dumps(np.ascontiguousarray(values).ravel(), option=orjson.OPT_SERIALIZE_NUMPY)


def encode_extra(extra: Any) -> bytes:
    """Encode the rows of extra model output as objects.

    Raises:
        PredictionError: JSON cannot carry a value; the message names its column and row.
    """
    return encode_cells(records(extra), ())


def elements(predictions: Predictions, target_type: TargetType) -> list[Any]:
    """Return one element a row: an object if the columns have names, else a value."""
    if _has_names(predictions, target_type):
        columns = predictions.columns
        return [dict(zip(columns, row, strict=True)) for row in predictions.values.tolist()]
    values: list[Any] = predictions.values[:, 0].tolist()
    return values


def _has_names(predictions: Predictions, target_type: TargetType) -> bool:
    return len(predictions.columns) > 1 or target_type.has_class_labels or target_type.has_target_column
