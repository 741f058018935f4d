"""Read large numeric tables with ``pandas.read_csv``, block by block into one array.

This needs little more memory than the numbers themselves. The result equals that of the whole table bit for bit: pandas
parses cells one by one, and a column of integers and fractions is float64. Tables where this may fail are left to
pandas: integers that a float cannot represent, ``-0`` among floats, text, ragged rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

import numpy as np

from datarobot_drum.drum.cancellation import stop_if_cancelled
from datarobot_drum.drum.tabular.exact_floats import EXACT_FLOATS
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.numeric_table import FLOAT, INTEGER, MAX_EXACT_INTEGER, NumericTable
from datarobot_drum.drum.tabular.payload import BinaryFile
from datarobot_drum.drum.tabular.table_limits import check_lines

_PLAIN = b"0123456789.,-+eE\n\r"
"""All bytes of a numeric table, without its header."""

_CHUNK_BYTES = 256 * 1024
_MIN_BLOCK_BYTES = 1024 * 1024
_MAX_BLOCK_BYTES = 32 * 1024 * 1024
_BLOCK_BYTES_PER_COLUMN = 32 * 1024
"""Bytes of a block per column: pandas has a cost per column, however few the rows."""

_MAX_ROW_BYTES = 1024 * 1024

_NEGATIVE_ZERO = re.compile(rb"-0+(?:[,\r\n]|\Z)")
"""Integer minus zero: 0 in an integer column, -0.0 in a float column."""


class _NeedsPandas(Exception):
    """Pandas must read this table as a whole."""


def read_chunked_csv(
    file: BinaryFile, names: tuple[str, ...], start: int, block_size: int = 0, max_rows: int = 0
) -> NumericTable | None:
    """Read the table; return None if pandas must read it as a whole.

    Args:
        names: the column names, from a plain header.
        start: the offset of the first row.
        block_size: bytes of a block, extended to the end of the row; 0 for the default.
        max_rows: the limit of rows; 0 for none.

    Raises:
        UnprocessableInput: there are more rows than the limit.
        RequestCancelled: no client waits for the result.
    """
    block_size = block_size or min(max(_MIN_BLOCK_BYTES, _BLOCK_BYTES_PER_COLUMN * len(names)), _MAX_BLOCK_BYTES)
    try:
        rows = _count_rows(file, start, len(names))
        check_lines(rows, max_rows)
        cells = _NumericTableBuilder(len(names), rows)
        for block in _blocks(file, start, block_size):
            cells.add(block)
        return cells.to_table(names)
    except (
        _NeedsPandas,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
    ):  # pandas raises these for malformed content
        return None


def _count_rows(file: BinaryFile, start: int, columns: int) -> int:
    """Count the lines, which are the rows of a numeric table."""
    file.seek(start)
    lines = size = 0
    last = b""
    while chunk := file.read(_CHUNK_BYTES):
        stop_if_cancelled()
        if chunk.translate(None, _PLAIN):
            raise _NeedsPandas
        lines += chunk.count(b"\n")
        size += len(chunk)
        last = chunk
    lines += not last.endswith(b"\n")
    # A cell takes at least a byte: a body of mere line ends must not allocate cells.
    if lines * columns > size + 1:
        raise _NeedsPandas
    return lines


def _blocks(file: BinaryFile, start: int, size: int) -> Iterator[bytes]:
    """Yield the rows in blocks that end with a row."""
    file.seek(start)
    while block := file.read(size):
        stop_if_cancelled()
        rest = b"" if block.endswith(b"\n") else file.readline(_MAX_ROW_BYTES)
        if len(rest) == _MAX_ROW_BYTES:
            raise _NeedsPandas
        yield block + rest


class _NumericTableBuilder:
    """An array with one row per column, filled block by block; int64 until the first float column."""

    def __init__(self, columns: int, rows: int) -> None:
        self._cells = np.empty((columns, rows), dtype=INTEGER)
        self._filled = 0
        self._integer_columns = [True] * columns
        self._max_integer = 0
        self._has_gaps = False

    def add(self, block: bytes) -> None:
        """Add the next rows.

        Raises:
            _NeedsPandas: the rows are not numeric, or their number or width differs.
            ValueError: as ``pandas.read_csv``.
        """
        columns = [column.to_numpy() for _, column in _parse(block).items()]
        end = self._filled + len(columns[0])
        if len(columns) != len(self._integer_columns) or end > self._cells.shape[1]:
            raise _NeedsPandas
        if any(column.dtype == FLOAT for column in columns) and self._cells.dtype == INTEGER:
            self._cells = self._cells.astype(FLOAT) if self._filled else self._cells.view(FLOAT)
        are_plain_floats = [self._store_column(position, column, end) for position, column in enumerate(columns)]
        if not all(are_plain_floats) and b"-0" in block and _NEGATIVE_ZERO.search(block):
            raise _NeedsPandas
        self._filled = end

    def _store_column(self, position: int, column: np.ndarray, end: int) -> bool:
        """Store a column; return True if pandas read each of its cells as a float."""
        if column.dtype not in (INTEGER, FLOAT):
            raise _NeedsPandas
        self._cells[position, self._filled : end] = column
        if column.dtype == INTEGER:
            self._max_integer = max(self._max_integer, int(column.max()), -int(column.min()))
            return False
        self._integer_columns[position] = False
        has_missing = bool(np.isnan(column).any())
        self._has_gaps |= has_missing
        return not has_missing

    def to_table(self, names: tuple[str, ...]) -> NumericTable:
        """Return the table of all blocks.

        Raises:
            _NeedsPandas: some lines were no rows, or some integers cannot be floats.
        """
        if self._filled != self._cells.shape[1]:
            raise _NeedsPandas
        if self._cells.dtype == FLOAT and self._max_integer >= MAX_EXACT_INTEGER:
            raise _NeedsPandas
        return NumericTable(names, self._cells, tuple(self._integer_columns), self._has_gaps)


def _parse(block: bytes) -> pd.DataFrame:
    if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
        raise _NeedsPandas  # see DecodedText
    return pd.read_csv(BytesIO(block), header=None, low_memory=False, engine="c", **EXACT_FLOATS)
