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
from datarobot_drum.drum.tabular.numeric_table import EXACT, FLOAT, INTEGER, NumericTable
from datarobot_drum.drum.tabular.payload import BinaryFile

_PLAIN = b"0123456789.,-+eE\n\r"
"""All bytes of a table of plain numbers, below its header."""

_PIECE = 256 * 1024
_LEAST_BLOCK = 1024 * 1024
_LARGEST_BLOCK = 32 * 1024 * 1024
_BLOCK_A_COLUMN = 32 * 1024
"""Bytes of a block for each column: pandas takes its time for each, however few the rows."""

_LARGEST_ROW = 1024 * 1024

_NEGATIVE_ZERO = re.compile(rb"-0+(?:[,\r\n]|\Z)")
"""Zero in a column of whole numbers, and minus zero in one of floats."""


class _NotPlain(Exception):
    """This table is for pandas."""


def read_number_blocks(
    file: BinaryFile, names: tuple[str, ...], begin: int, block_size: int = 0
) -> NumericTable | None:
    """The table, or None if it takes pandas to read it as a whole.

    Args:
        names: of the columns, from a header that needs no second look.
        begin: where the rows begin.
        block_size: bytes that pandas gets at a time, and then the rest of the row; 0 for what is fastest.
    """
    block_size = block_size or min(max(_LEAST_BLOCK, _BLOCK_A_COLUMN * len(names)), _LARGEST_BLOCK)
    try:
        cells = _Cells(len(names), _count_rows(file, begin, len(names)))
        for block in _blocks(file, begin, block_size):
            cells.add(block)
        return cells.to_table(names)
    except (_NotPlain, ArithmeticError, LookupError, TypeError, ValueError):  # as pandas may raise over any content
        return None


def _count_rows(file: BinaryFile, begin: int, columns: int) -> int:
    """Lines, which are rows if all is plain."""
    file.seek(begin)
    lines = size = 0
    last = b""
    while piece := file.read(_PIECE):
        if piece.translate(None, _PLAIN):
            raise _NotPlain
        lines += piece.count(b"\n")
        size += len(piece)
        last = piece
    lines += not last.endswith(b"\n")
    # A cell takes a byte or more: whoever sends mere line ends gets no memory for cells.
    if lines * columns > size + 1:
        raise _NotPlain
    return lines


def _blocks(file: BinaryFile, begin: int, size: int) -> Iterator[bytes]:
    """The rows in pieces that end where a row ends."""
    file.seek(begin)
    while block := file.read(size):
        rest = b"" if block.endswith(b"\n") else file.readline(_LARGEST_ROW)
        if len(rest) == _LARGEST_ROW:
            raise _NotPlain
        yield block + rest


class _Cells:
    """Takes in blocks: an array of one row a column, of whole numbers until the first other one comes."""

    def __init__(self, columns: int, rows: int) -> None:
        self._cells = np.empty((columns, rows), dtype=INTEGER)
        self._filled = 0
        self._whole = [True] * columns
        self._largest_whole = 0
        self._has_gaps = False

    def add(self, block: bytes) -> None:
        """Take in the next rows.

        Raises:
            _NotPlain: they cannot be.
            ValueError and others: as pandas does.
        """
        columns = [column.to_numpy() for _, column in _parse(block).items()]
        end = self._filled + len(columns[0])
        if len(columns) != len(self._whole) or end > self._cells.shape[1]:
            raise _NotPlain
        if any(column.dtype == FLOAT for column in columns) and self._cells.dtype == INTEGER:
            self._cells = self._cells.astype(FLOAT) if self._filled else self._cells.view(FLOAT)
        are_plain_floats = [self._put(place, column, end) for place, column in enumerate(columns)]
        if not all(are_plain_floats) and b"-0" in block and _NEGATIVE_ZERO.search(block):
            raise _NotPlain
        self._filled = end

    def _put(self, place: int, column: np.ndarray, end: int) -> bool:
        """Whether pandas read each of its cells as a float."""
        if column.dtype not in (INTEGER, FLOAT):
            raise _NotPlain
        self._cells[place, self._filled : end] = column
        if column.dtype == INTEGER:
            self._largest_whole = max(self._largest_whole, int(column.max()), -int(column.min()))
            return False
        self._whole[place] = False
        has_gaps = bool(np.isnan(column).any())
        self._has_gaps |= has_gaps
        return not has_gaps

    def to_table(self, names: tuple[str, ...]) -> NumericTable:
        """The table of all blocks.

        Raises:
            _NotPlain: some lines were no rows, or some whole numbers cannot be among floats.
        """
        if self._filled != self._cells.shape[1]:
            raise _NotPlain
        if self._cells.dtype == FLOAT and self._largest_whole >= EXACT:
            raise _NotPlain
        return NumericTable(names, self._cells, tuple(self._whole), self._has_gaps)


def _parse(block: bytes) -> pd.DataFrame:
    if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
        raise _NotPlain  # see DecodedText
    return pd.read_csv(BytesIO(block), header=None, low_memory=False, engine="c", **EXACT_FLOATS)
