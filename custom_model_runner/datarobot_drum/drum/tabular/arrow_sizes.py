"""The decoded size of record batches: texts that several rows refer to are stored once, but each row decodes them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datarobot_drum.drum.exceptions import PayloadTooLarge
from datarobot_drum.drum.settings.limits import InputLimits


class DecodedSize:
    """A counter of the decoded bytes of a table, up to a limit."""

    def __init__(self, limits: InputLimits) -> None:
        self._limit = limits.max_decoded_size
        self._size = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch before it is decoded.

        Raises:
            PayloadTooLarge: the table is larger than the limit.
        """
        if not self._limit:
            return
        self._size += sum(map(_decoded_bytes, batch.columns))
        if self._size > self._limit:
            raise PayloadTooLarge(f"The table has more than {self._limit} bytes when decoded (DRUM_MAX_DECODED_SIZE).")


def _decoded_bytes(column: pa.Array) -> int:
    if pa.types.is_dictionary(column.type):
        if not _is_text(column.dictionary.type):
            return 8 * len(column)
        lengths = pc.binary_length(column.dictionary)
        return 8 * len(column) + _total(lengths.take(column.indices))
    if _is_view(column.type):
        return 8 * len(column) + _total_of_views(column)
    if _is_text(column.type):
        return 8 * len(column) + _total(pc.binary_length(column))
    return max(8 * len(column), int(column.nbytes))


def _total(lengths: pa.Array) -> int:
    return int(pc.sum(lengths.cast(pa.int64())).as_py() or 0)


def _total_of_views(column: pa.Array) -> int:
    """Return the bytes of texts that are views of shared buffers: each starts with its length, in 4 of 16 bytes."""
    views = np.frombuffer(column.buffers()[1] or b"", dtype=np.int32).reshape(-1, 4)
    return int(views[column.offset : column.offset + len(column), 0].sum(dtype=np.int64))


def _is_view(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_string_view(dtype) or pa.types.is_binary_view(dtype))


def _is_text(dtype: pa.DataType) -> bool:
    types = pa.types
    has_offsets = types.is_string(dtype) or types.is_binary(dtype)
    return bool(has_offsets or types.is_large_string(dtype) or types.is_large_binary(dtype))
