"""Read the cells of input tensors, and write those of output tensors: as values of JSON and Protocol Buffers, or raw.

What a datatype cannot hold is rejected, never rounded to something else: text for numbers, a fraction for an integer, a
number out of range. A missing cell is null in JSON, NaN in a raw tensor of floats, and an empty text of BYTES.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from datarobot_drum.drum.exceptions import BadRequest, PredictionError
from datarobot_drum.drum.serving.v2.datatypes import BF16, BOOL, BYTES, NUMBER_TYPES, NumberType
from datarobot_drum.drum.serving.v2.messages import InputTensor, OutputTensor, TensorHead

_LENGTH = struct.Struct("<I")
_MAX_INT64 = 2**63 - 1
_NONE = type(None)


def from_values(head: TensorHead, values: Sequence[Any]) -> InputTensor:
    """Read a flat sequence of values.

    Raises:
        BadRequest: their number differs from the shape, or the datatype does not have one of them.
    """
    head.require_size(len(values))
    kinds = set(map(type, values))
    if head.datatype == BYTES:
        _require_kinds(head, values, kinds, {str, bytes, _NONE}, "texts")
        return InputTensor(head, _as_objects(list(map(_decoder(head), values))))
    if head.datatype == BOOL:
        _require_kinds(head, values, kinds, {bool, _NONE}, "true and false")
        return InputTensor(head, _as_objects(values) if _NONE in kinds else np.array(values, dtype=np.bool_))
    number_type = NUMBER_TYPES[head.datatype]
    if number_type.is_integer:
        _require_kinds(head, values, kinds, {int, _NONE}, "whole numbers")
        return InputTensor(head, _integers(head, number_type, values, has_missing=_NONE in kinds))
    _require_kinds(head, values, kinds, {int, float, _NONE}, "numbers")
    return InputTensor(head, _floats(head, number_type, values))


def _require_kinds(head: TensorHead, values: Sequence[Any], kinds: set[type], allowed: set[type], text: str) -> None:
    if not kinds <= allowed:
        position, value = next((place, value) for place, value in enumerate(values) if type(value) not in allowed)
        raise BadRequest(
            f"The input {head.shown} of datatype {head.datatype} holds {str(value)[:40]!r} at position {position}: it "
            f"takes {text}, and null for a missing value."
        )


def _integers(head: TensorHead, number_type: NumberType, values: Sequence[Any], *, has_missing: bool) -> np.ndarray:
    present = [value for value in values if value is not None] if has_missing else values
    low, high = number_type.range
    for value in (min(present), max(present)) if present else ():
        if not low <= value <= high:
            raise BadRequest(f"The input {head.shown} holds {value}, which {head.datatype} does not have.")
    if has_missing:
        return _as_objects(values)
    return _in_table_type(np.array(values, dtype=number_type.layout), number_type)


def _floats(head: TensorHead, number_type: NumberType, values: Sequence[Any]) -> np.ndarray:
    try:
        cells = np.array(values, dtype=np.float64)
    except OverflowError as error:
        raise _out_of_range(head) from error
    if head.datatype == BF16:
        raise BadRequest(f"The input {head.shown} has the datatype BF16: send it as binary data.")
    if number_type.layout.itemsize == cells.dtype.itemsize:
        return cells
    with np.errstate(over="ignore"):
        rounded = cells.astype(number_type.layout).astype(np.float64)
    if (np.isinf(rounded) & ~np.isinf(cells)).any():
        raise _out_of_range(head)
    return rounded


def _out_of_range(head: TensorHead) -> BadRequest:
    return BadRequest(f"The input {head.shown} holds a number that is too large for {head.datatype}.")


def from_raw(head: TensorHead, raw: memoryview) -> InputTensor:
    """Read the bytes of a tensor: little-endian numbers, or BYTES with a length of four bytes before each.

    Raises:
        BadRequest: the number of bytes differs from the shape, or a cell is not valid.
    """
    if head.datatype == BYTES:
        return InputTensor(head, _as_objects(list(map(_decoder(head), _split(head, raw)))))
    number_type = NUMBER_TYPES[head.datatype]
    expected = head.size * number_type.layout.itemsize
    if len(raw) != expected:
        raise BadRequest(
            f"The input {head.shown} has {len(raw)} bytes of binary data; its shape {list(head.shape)} and datatype "
            f"{head.datatype} take {expected}."
        )
    cells = np.frombuffer(raw, dtype=number_type.layout)
    if head.datatype == BOOL and (cells.view(np.uint8) > 1).any():
        raise BadRequest(f"The input {head.shown} has a byte other than 0 and 1 for a BOOL.")
    if head.datatype == BF16:
        cells = (cells.astype(np.uint32) << 16).view(np.float32)
    return InputTensor(head, _in_table_type(cells, number_type))


def _in_table_type(cells: np.ndarray, number_type: NumberType) -> np.ndarray:
    """Convert to the type of a csv: signed integers, as long as they are large enough."""
    if number_type.table_type.kind == "u" and not (cells > _MAX_INT64).any():
        return cells.astype(np.int64)
    return cells.astype(number_type.table_type)


def _split(head: TensorHead, raw: memoryview) -> list[bytes]:
    """Return the cells of a raw BYTES tensor."""
    cells: list[bytes] = []
    position, end = 0, len(raw)
    while position < end and len(cells) < head.size:
        start = position + _LENGTH.size
        position = start + _LENGTH.unpack(raw[position:start])[0] if start <= end else end + 1
        if position > end:
            raise BadRequest(
                f"The binary data of the input {head.shown} ends within value {len(cells)}: each value of BYTES has "
                "its length before it, as 4 bytes, little-endian."
            )
        cells.append(bytes(raw[start:position]))
    if position != end:
        raise BadRequest(f"The input {head.shown} has binary data for more than the {head.size} values of its shape.")
    head.require_size(len(cells))
    return cells


def _decoder(head: TensorHead) -> Any:
    """Return the function from a cell of BYTES to its text; a missing cell becomes None."""

    def decode(cell: str | bytes | None) -> str | None:
        if isinstance(cell, bytes):
            try:
                cell = cell.decode("utf-8")
            except UnicodeDecodeError as error:
                raise BadRequest(
                    f"The input {head.shown} holds bytes that are no UTF-8 text: {cell[:20]!r}."
                ) from error
        return cell or None

    return decode


def _as_objects(values: Sequence[Any]) -> np.ndarray:
    cells = np.empty(len(values), dtype=object)
    cells[:] = values
    return cells


def to_values(tensor: OutputTensor) -> list[Any]:
    """Return the cells as Python values; a missing text is None."""
    values: list[Any] = tensor.cells.ravel().tolist()
    return values


def to_raw(tensor: OutputTensor) -> bytes:
    """Return the bytes of a tensor, the opposite of ``from_raw``; a missing text is empty.

    Raises:
        PredictionError: the model returned text that UTF-8 cannot carry.
    """
    if tensor.datatype != BYTES:
        return np.ascontiguousarray(tensor.cells, dtype=NUMBER_TYPES[tensor.datatype].layout).tobytes()
    encoded = list(map(encode_text, to_values(tensor)))
    return b"".join(part for cell in encoded for part in (_LENGTH.pack(len(cell)), cell))


def encode_text(cell: str | None) -> bytes:
    """Return the bytes of a cell of BYTES.

    Raises:
        PredictionError: as ``to_raw``.
    """
    try:
        return (cell or "").encode("utf-8")
    except UnicodeEncodeError as error:
        raise PredictionError(f"The model returned text that UTF-8 cannot carry: {error.reason}.") from error
