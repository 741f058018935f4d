"""Make a table of the inputs of a request, with the cells that a csv of the same rows has.

There are two styles: one tensor a column, or one tensor of two dimensions for all columns, in the order of the model.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from datarobot_drum.drum.exceptions import BadRequest
from datarobot_drum.drum.input_schema.columns import InputSchema, without_blanks
from datarobot_drum.drum.serving.v2.datatypes import BOOL, BYTES
from datarobot_drum.drum.serving.v2.messages import InferenceRequest, InputTensor, TensorHead, require_unique_names
from datarobot_drum.drum.tabular.column_hints import list_names
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.table_limits import check_cells, check_lines, check_width

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.limits import InputLimits

_CONTENT_TYPE = "content_type"


def to_table(request: InferenceRequest, schema: InputSchema, limits: InputLimits) -> pd.DataFrame:
    """Return the rows of a request.

    Args:
        schema: the columns of the model.
        limits: of the table.

    Raises:
        BadRequest: the inputs are no table of the model's columns.
        UnprocessableInput: the table is over a limit.
    """
    if not request.inputs:
        raise BadRequest("The request has no inputs: send a tensor for each column, or one for all.")
    require_unique_names(request.inputs)
    matrix = _find_matrix(request.inputs, schema)
    rows = _count_rows(request.inputs, matrix)
    check_lines(rows, limits.max_rows)
    check_width(matrix.head.shape[1] if matrix else len(request.inputs), limits)
    content_type = request.parameters.get(_CONTENT_TYPE)
    columns = _split_matrix(matrix, schema, content_type) if matrix else _named(request.inputs, schema, content_type)
    table = pd.DataFrame(dict(enumerate(columns.values())), copy=False)
    table.columns = pd.Index(list(columns))
    check_cells(table, limits)
    return table


def _find_matrix(inputs: tuple[InputTensor, ...], schema: InputSchema) -> InputTensor | None:
    """Return the input that holds all columns; None for one input a column."""
    head = inputs[0].head
    if len(inputs) > 1 or len(head.shape) != 2:
        return None
    if head.shape[1] == 1 and (schema.names is None or _knows(schema, head.name)):
        return None
    return inputs[0]


def _knows(schema: InputSchema, name: str) -> bool:
    names = schema.names or ()
    return name in names or without_blanks(name) in names or name in schema.declared


def _count_rows(inputs: tuple[InputTensor, ...], matrix: InputTensor | None) -> int:
    for tensor in inputs:
        _require_column(tensor.head, is_matrix=tensor is matrix, is_alone=len(inputs) == 1)
    first = inputs[0].head
    rows = first.shape[0]
    for tensor in inputs[1:]:
        if tensor.head.shape[0] != rows:
            raise BadRequest(
                f"The inputs {first.shown} and {tensor.head.shown} have {rows} and {tensor.head.shape[0]} rows: the "
                "first size of each shape must be the number of rows."
            )
    if rows == 0:
        raise BadRequest("The inputs have no rows: the first size of their shapes is 0.")
    return rows


def _require_column(head: TensorHead, *, is_matrix: bool, is_alone: bool) -> None:
    """Require the shape of a column, or of a matrix.

    Raises:
        BadRequest: it has another one.
    """
    is_column = len(head.shape) == 1 or (len(head.shape) == 2 and head.shape[1] == 1)
    if is_column or (is_matrix and head.shape[1] > 0):
        return
    advice = "[rows], or [rows, 1]; a single input may have [rows, columns]"
    if len(head.shape) == 2 and not is_alone:
        advice = "[rows, 1]; an input for several columns must be the only one"
    raise BadRequest(f"The input {head.shown} has the shape {list(head.shape)}: a column has {advice}.")


def _named(
    inputs: tuple[InputTensor, ...], schema: InputSchema, content_type: Any
) -> dict[str, np.ndarray | pd.Series[Any]]:
    """Return the column of each input."""
    unknown = [tensor.head for tensor in inputs if schema.names and not _knows(schema, tensor.head.name)]
    if unknown and schema.names:
        _reject_unknown(unknown, schema.names)
    return {tensor.head.name: to_column(tensor.head, tensor.cells, content_type) for tensor in inputs}


def _reject_unknown(unknown: list[TensorHead], names: tuple[str, ...]) -> None:
    nearest = get_close_matches(unknown[0].name, names, n=1)
    hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
    shape = unknown[0].shape
    if len(shape) == 1 and shape[0] == len(names):
        hint += f" A single row for all columns has the shape [1, {len(names)}]."
    raise BadRequest(
        f"The model has no input {unknown[0].shown}{hint}; its inputs are {list_names(names)}. One input alone may "
        f"hold all columns, with the shape [rows, {len(names)}]."
    )


def _split_matrix(
    matrix: InputTensor, schema: InputSchema, content_type: Any
) -> dict[str, np.ndarray | pd.Series[Any]]:
    """Return the columns of a matrix under the names of the model, or their positions if it has no names."""
    head, width = matrix.head, matrix.head.shape[1]
    known = len(schema.names) if schema.names else schema.width
    if known and width != known:
        raise BadRequest(
            f"The input {head.shown} has the shape {list(head.shape)}: the model takes {known} columns, so [rows, "
            f"{known}]."
        )
    names = schema.names or _unknown_names(head, width)
    cells = matrix.cells.reshape(head.shape)
    return {name: to_column(head, cells[:, position], content_type) for position, name in enumerate(names)}


def _unknown_names(head: TensorHead, width: int) -> tuple[str, ...]:
    return tuple(map(str, range(width))) if width > 1 else (head.name,)


def to_column(head: TensorHead, cells: np.ndarray, content_type: Any = None) -> np.ndarray | pd.Series[Any]:
    """Return cells with the type of a csv column: texts, or the smallest type of numbers that has missing cells.

    Args:
        content_type: of the request, for an input without its own.

    Raises:
        BadRequest: the content type is unknown, or the cells do not have it.
    """
    read = _reader(head, content_type)
    if cells.dtype != object:
        return cells
    values = cells.tolist() if head.datatype != BYTES or read is None else _read_cells(head, cells.tolist(), read)
    has_missing = None in values
    present = [np.nan if value is None else value for value in values] if has_missing else values
    if head.datatype in (BOOL, BYTES):
        return pd.Series(present)
    return np.array(present, dtype=np.float64) if has_missing else _to_integers(values)


def _to_integers(values: list[int]) -> np.ndarray:
    is_unsigned = max(values) > np.iinfo(np.int64).max
    return np.array(values, dtype=np.uint64 if is_unsigned else np.int64)


_Reader = Callable[[str], Any]


def _read_base64(cell: str) -> str | None:
    return base64.b64decode(cell, validate=True).decode("utf-8") or None


def _read_json(cell: str) -> Any:
    value = orjson.loads(cell)
    if isinstance(value, dict | list):
        raise ValueError("a cell is no list or object")
    return value if value != "" else None


_READERS: Mapping[str, _Reader | None] = {
    "pd": None,
    "np": None,
    "str": None,
    "datetime": None,
    "base64": _read_base64,
    "pd_json": _read_json,
}
"""Content types of MLServer, with the function that reads a text of each."""


def _reader(head: TensorHead, of_request: Any) -> _Reader | None:
    content_type = head.parameters.get(_CONTENT_TYPE) or of_request
    if content_type in (None, ""):
        return None
    if content_type not in _READERS:
        raise BadRequest(
            f"The input {head.shown} has the content type {str(content_type)[:40]!r}: use one of {', '.join(_READERS)}."
        )
    return _READERS[content_type]


def _read_cells(head: TensorHead, cells: list[str | None], read: _Reader) -> list[Any]:
    cell: str | None = None
    try:
        return [read(cell) if (cell := item) is not None else None for item in cells]
    except (ValueError, binascii.Error) as error:
        raise BadRequest(
            f"The input {head.shown} holds {str(cell)[:40]!r}, which does not have its content type: {error}."
        ) from error
