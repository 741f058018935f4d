"""Predictions in Arrow: as a table for files, and as the stream format for responses. PyArrow is an extra."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from datarobot_drum.drum.exceptions import PredictionError, UnprocessableInput
from datarobot_drum.drum.language_predictors.base import Predictions, StreamChunk
from datarobot_drum.drum.language_predictors.json_values import to_plain
from datarobot_drum.drum.settings.target_types import TargetType

UNFIT_CELLS = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError)
"""Errors of cells that fit no type of Arrow, or not that of their column."""


def to_table(predictions: Predictions) -> pa.Table:
    """Return the predictions as a table; missing values are null."""
    columns = {name: _to_array(predictions.values[:, position]) for position, name in enumerate(predictions.columns)}
    if predictions.extra is not None:
        columns |= {str(name): _to_extra_array(column) for name, column in predictions.extra.items()}
    return pa.table(columns)


def record_batches(chunks: Iterator[StreamChunk], target_type: TargetType) -> Iterator[bytes]:
    """Yield the stream format of Arrow, record batches for each block. All have the types of the first block.

    Raises:
        UnprocessableInput: the model yields text.
        PredictionError: its cells do not fit.
    """
    sink = io.BytesIO()
    writer: Any = None
    schema: pa.Schema = None
    for chunk in chunks:
        if not isinstance(chunk, Predictions):
            raise UnprocessableInput("The model yields text, which Arrow does not hold: accept another format.")
        with _fit_errors():
            table = to_table(chunk)
            if writer is None:
                schema = table.schema
                writer = pa.ipc.new_stream(sink, schema)
            writer.write_table(table.cast(schema))
        yield _take(sink)
    if writer is not None:
        writer.close()
        yield _take(sink)


@contextmanager
def _fit_errors() -> Iterator[None]:
    try:
        yield
    except (*UNFIT_CELLS, ValueError) as error:  # ValueError: other columns than those of the first block
        cause = " ".join(str(error).split()).rstrip(".")
        raise PredictionError(f"The predictions fit no Arrow stream: {cause}.") from error


def _take(sink: io.BytesIO) -> bytes:
    content = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return content


def _to_array(values: np.ndarray) -> pa.Array:
    if not len(values) and values.dtype == object:
        return pa.array([], type=pa.string())
    return pa.array(values, type=pa.float64() if values.dtype.kind == "f" else None, from_pandas=True)


def _to_extra_array(column: Any) -> pa.Array:
    """Return extra output as it is; cells of types that Arrow does not have are converted as for JSON."""
    try:
        return pa.array(column, from_pandas=True)
    except UNFIT_CELLS:
        if column.dtype != object:
            raise
        return pa.array([to_plain(cell) for cell in column], from_pandas=True)
