"""The datatypes of tensors, with the layout of a cell and its type in a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NumberType:
    """A datatype of numbers or booleans.

    ``layout`` is that of the bytes of a cell. ``table_type`` is the type that a csv has for the same numbers.
    """

    layout: np.dtype
    table_type: np.dtype

    @property
    def is_integer(self) -> bool:
        return self.layout.kind in "iu" and self.table_type.kind in "iu"

    @property
    def range(self) -> tuple[int, int]:
        """The smallest and the largest integer."""
        info = np.iinfo(self.layout)
        return int(info.min), int(info.max)


BYTES, BOOL, BF16 = "BYTES", "BOOL", "BF16"
INT64, FP64 = "INT64", "FP64"

_INT64, _UINT64, _FLOAT64 = np.dtype(np.int64), np.dtype(np.uint64), np.dtype(np.float64)

NUMBER_TYPES = {
    BOOL: NumberType(np.dtype(np.bool_), np.dtype(np.bool_)),
    "UINT8": NumberType(np.dtype("<u1"), _INT64),
    "UINT16": NumberType(np.dtype("<u2"), _INT64),
    "UINT32": NumberType(np.dtype("<u4"), _INT64),
    "UINT64": NumberType(np.dtype("<u8"), _UINT64),
    "INT8": NumberType(np.dtype("<i1"), _INT64),
    "INT16": NumberType(np.dtype("<i2"), _INT64),
    "INT32": NumberType(np.dtype("<i4"), _INT64),
    INT64: NumberType(np.dtype("<i8"), _INT64),
    "FP16": NumberType(np.dtype("<f2"), _FLOAT64),
    # The upper half of an FP32: NumPy has no such type.
    BF16: NumberType(np.dtype("<u2"), _FLOAT64),
    "FP32": NumberType(np.dtype("<f4"), _FLOAT64),
    FP64: NumberType(np.dtype("<f8"), _FLOAT64),
}

DATATYPES = (*NUMBER_TYPES, BYTES)
