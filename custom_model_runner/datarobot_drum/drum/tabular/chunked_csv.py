"""Large tables of plain numbers, read by ``pandas.read_csv`` block by block straight into one array.

That takes little more memory than the numbers themselves. The outcome is that of the whole, to the last bit: pandas
parses cells one by one, and a column of whole numbers and others is float64, whichever come first. Where that could
fail (whole numbers that a float cannot hold, ``-0`` among them), and wherever a block is no plain rectangle, there is
no outcome, and pandas reads the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

import numpy as np

from datarobot_drum.drum.tabular.exact_floats import EXACT_FLOATS
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.numeric_table import FLOAT, INTEGER, MAX_EXACT_INTEGER, NumericTable
from datarobot_drum.drum.tabular.payload import BinaryFile

_PLAIN = b"0123456789.,-+eE\n\r"
"""All bytes of a table of plain numbers, below its header."""

_CHUNK_BYTES = 256 * 1024
_MIN_BLOCK_BYTES = 1024 * 1024
_MAX_BLOCK_BYTES = 32 * 1024 * 1024
_BLOCK_BYTES_PER_COLUMN = 32 * 1024
"""Bytes of a block for each column: pandas takes its time for each, however few the rows."""

_MAX_ROW_BYTES = 1024 * 1024

_NEGATIVE_ZERO = re.compile(rb"-0+(?:[,\r\n]|\Z)")
"""Zero in a column of whole numbers, and minus zero in one of floats."""


class _NeedsPandas(Exception):
    """This table is for pandas."""


def read_chunked_csv(file: BinaryFile, names: tuple[str, ...], start: int, block_size: int = 0) -> NumericTable | None:
    """The table, or None if it takes pandas to read it as a whole.

    Args:
        names: of the columns, from a header that needs no second look.
        begin: where the rows begin.
        block_size: bytes that pandas gets at a time, and then the rest of the row; 0 for what is fastest.
    """
    block_size = block_size or min(max(_MIN_BLOCK_BYTES, _BLOCK_BYTES_PER_COLUMN * len(names)), _MAX_BLOCK_BYTES)
    try:
        cells = _NumericTableBuilder(len(names), _count_rows(file, start, len(names)))
        for block in _blocks(file, start, block_size):
            cells.add(block)
        return cells.to_table(names)
    except (_NeedsPandas, ArithmeticError, LookupError, TypeError, ValueError):  # as pandas may raise over any content
        return None


def _count_rows(file: BinaryFile, start: int, columns: int) -> int:
    """Lines, which are rows if all is plain."""
    file.seek(start)
    lines = size = 0
    last = b""
    while chunk := file.read(_CHUNK_BYTES):
        if chunk.translate(None, _PLAIN):
            raise _NeedsPandas
        lines += chunk.count(b"\n")
        size += len(chunk)
        last = chunk
    lines += not last.endswith(b"\n")
    # A cell takes a byte or more: whoever sends mere line ends gets no memory for cells.
    if lines * columns > size + 1:
        raise _NeedsPandas
    return lines


def _blocks(file: BinaryFile, start: int, size: int) -> Iterator[bytes]:
    """The rows in pieces that end where a row ends."""
    file.seek(start)
    while block := file.read(size):
        rest = b"" if block.endswith(b"\n") else file.readline(_MAX_ROW_BYTES)
        if len(rest) == _MAX_ROW_BYTES:
            raise _NeedsPandas
        yield block + rest


class _NumericTableBuilder:
    """Takes in blocks: an array of one row a column, of whole numbers until the first other one comes."""

    def __init__(self, columns: int, rows: int) -> None:
        self._cells = np.empty((columns, rows), dtype=INTEGER)
        self._filled = 0
        self._integer_columns = [True] * columns
        self._max_integer = 0
        self._has_gaps = False

    def add(self, block: bytes) -> None:
        """Take in the next rows.

        Raises:
            _NotPlain: they cannot be.
            ValueError and others: as pandas does.
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
        """Whether pandas read each of its cells as a float."""
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
        """The table of all blocks.

        Raises:
            _NotPlain: some lines were no rows, or some whole numbers cannot be among floats.
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
