"""The inputs of an ONNX model as columns of a table, and the arrays that fill them.

One input takes all columns. Several inputs of one column each are filled by name, others in the order of the columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from datarobot_drum.drum.artifact_predictors.features import to_matrix
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.input_schema.columns import NUMBER, Column, ColumnType, InputSchema
from datarobot_drum.drum.input_schema.conform import conform

_STRING = "tensor(string)"
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint64)": np.uint64,
    "tensor(uint32)": np.uint32,
    "tensor(uint16)": np.uint16,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
    _STRING: np.object_,
}
_TYPES = {_STRING: Column(ColumnType.TEXT, fill=""), "tensor(bool)": Column(ColumnType.BOOLEAN)}
_MAX_RANK = 2


def input_schema_of(session: Any) -> InputSchema:
    """Return the columns that fill the inputs of a session.

    Raises:
        ModelLoadError: an input cannot be filled from a table.
    """
    inputs = read_inputs(session)
    if len(inputs) == 1 and inputs[0].width is None:
        return InputSchema(rest=inputs[0].column, accepts_missing=True)
    columns = tuple(item.column for item in inputs for _ in range(item.width or 1))
    names = tuple(item.name for item in inputs) if _are_filled_by_name(inputs) else None
    return InputSchema(columns, names, accepts_missing=True)


def feed_function(session: Any) -> Callable[[Any], dict[str, np.ndarray]]:
    """Return a function from samples with the columns of the input schema to the inputs by name.

    Raises:
        ModelLoadError: an input cannot be filled from a table.
    """
    inputs, schema = read_inputs(session), input_schema_of(session)
    if len(inputs) == 1 and inputs[0].type != _STRING:
        return lambda data: {inputs[0].name: inputs[0].to_array(data)}

    def feed(data: Any) -> dict[str, np.ndarray]:
        if not isinstance(data, pd.DataFrame):
            data = conform(schema, pd.DataFrame(to_matrix(data, np.float64), columns=schema.names))
        arrays, start = {}, 0
        for item in inputs:
            end = start + (item.width or 1) if len(inputs) > 1 else data.shape[1]
            arrays[item.name] = item.to_array(data.iloc[:, start:end])
            start = end
        return arrays

    return feed


@dataclass(frozen=True)
class TableInput:
    """An input of a model. ``width`` is its number of columns, None for any number."""

    name: str
    type: str
    rank: int
    width: int | None

    @property
    def column(self) -> Column:
        return _TYPES.get(self.type, NUMBER)

    def to_array(self, data: Any) -> np.ndarray:
        """Return the array of these columns.

        Raises:
            UnprocessableInput: a column does not have the type of the input.
        """
        if self.type == _STRING:
            array: np.ndarray = data.to_numpy(dtype=object)
        else:
            array = to_matrix(data, _DTYPES[self.type])
        return array if self.rank == _MAX_RANK else array.ravel()


def read_inputs(session: Any) -> list[TableInput]:
    """Return the inputs of a session.

    Raises:
        ModelLoadError: an input cannot be filled from a table.
    """
    inputs = [_read_input(tensor) for tensor in session.get_inputs()]
    unknown = [item.name for item in inputs if item.width is None]
    if unknown and len(inputs) > 1 and not _are_filled_by_name(inputs):
        raise ModelLoadError(
            f"The ONNX model has several inputs, and the number of columns of {unknown[0]!r} is not fixed, so they "
            "cannot be filled from a table: export it with fixed numbers of columns, or add a score hook to custom.py."
        )
    return inputs


def _read_input(tensor: Any) -> TableInput:
    rank = len(tensor.shape)
    if tensor.type not in _DTYPES or rank > _MAX_RANK:
        raise ModelLoadError(
            f"The ONNX model's input {tensor.name!r} ({tensor.type} of shape {tensor.shape}) "
            "cannot be filled from a table: add a score hook to custom.py."
        )
    columns = tensor.shape[1] if rank == _MAX_RANK else 1
    return TableInput(tensor.name, tensor.type, rank, columns if isinstance(columns, int) else None)


def _are_filled_by_name(inputs: list[TableInput]) -> bool:
    return len(inputs) > 1 and all(item.width in (1, None) for item in inputs)
