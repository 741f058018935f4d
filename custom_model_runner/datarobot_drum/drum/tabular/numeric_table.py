"""A table of numbers, convertible to an array or a DataFrame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datarobot_drum.drum.tabular.header_cache import cached_by_width
from datarobot_drum.drum.tabular.lazy_pandas import pd

INTEGER = np.dtype(np.int64)
FLOAT = np.dtype(np.float64)

_NARROW, _WIDE = 2000, 50_000
"""Columns of tables whose index stays in memory for the next ones, see ``cached_by_width``."""

MAX_EXACT_INTEGER = 2.0**53
"""Every integer up to this is exactly representable as a float."""

_MAX_NUMBER = 1e18
"""Limit of the numbers of ``from_rows``: larger integers may exceed 64 bits, where pandas and orjson differ."""


@dataclass(frozen=True, eq=False)
class NumericTable:
    """A table of numbers.

    ``cells`` has a row for each column of the table, as in a pandas block: int64 if all columns are integers, else
    float64. ``integer_columns`` has a flag per column. With ``has_missing``, some cells are missing values (NaN).
    """

    names: tuple[str, ...]
    cells: np.ndarray
    integer_columns: tuple[bool, ...]
    has_missing: bool = False

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> NumericTable | None:
        """Convert a frame; return None unless one array represents every cell exactly."""
        dtypes = set(frame.dtypes)
        if not dtypes <= {INTEGER, FLOAT} or not all(type(name) is str for name in frame.columns):
            return None
        cells = np.asarray(frame).T
        if not cells.flags.c_contiguous or np.isnan(cells).any():
            return None
        integer_columns = tuple(dtype == INTEGER for dtype in frame.dtypes)
        if len(dtypes) > 1 and np.abs(cells[list(integer_columns)]).max() >= MAX_EXACT_INTEGER:
            return None
        return cls(tuple(frame.columns), cells, integer_columns)

    @classmethod
    def from_rows(cls, rows: list[list[float]], names: tuple[str, ...]) -> NumericTable | None:
        """Convert rows of integers and floats of orjson; return None where pandas may read a csv of them otherwise."""
        cells = np.ascontiguousarray(np.array(rows).T)
        if not np.abs(cells).max() < _MAX_NUMBER:
            return None
        if cells.dtype == INTEGER:
            return cls(names, cells, (True,) * len(names))
        integer_columns = _find_integer_columns(rows, cells)
        if any(integer_columns) and np.abs(cells[list(integer_columns)]).max() >= MAX_EXACT_INTEGER:
            return None
        return cls(names, cells, integer_columns)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        columns, rows = self.cells.shape
        return rows, columns

    def to_array(self) -> np.ndarray:
        """Return the array that ``np.asarray`` makes of the frame: same values, type and memory layout."""
        return self.cells.T

    def to_frame(self) -> pd.DataFrame:
        """Return the frame that ``pandas.read_csv`` reads from the same bytes."""
        index = _index(self.names)
        if self.cells.dtype == INTEGER or not any(self.integer_columns):
            return pd.DataFrame(self.cells.T, columns=index, copy=False)
        if len(self.names) > _NARROW:
            return self._to_two_blocks().set_axis(index, axis=1)
        columns = [
            cells.astype(INTEGER) if is_integer else cells
            for cells, is_integer in zip(self.cells, self.integer_columns, strict=True)
        ]
        return pd.DataFrame(dict(enumerate(columns)), copy=False).set_axis(index, axis=1)

    def _to_two_blocks(self) -> pd.DataFrame:
        """Return the frame with numbers as names. pandas takes 20 microseconds for each block, not for each column."""
        is_integer = np.array(self.integer_columns)
        integers, floats = np.flatnonzero(is_integer), np.flatnonzero(~is_integer)
        blocks = [
            pd.DataFrame(self.cells[integers].astype(INTEGER).T, columns=integers),
            pd.DataFrame(self.cells[floats].T, columns=floats),
        ]
        return pd.concat(blocks, axis=1).sort_index(axis=1)

    def select(self, positions: tuple[int, ...]) -> NumericTable:
        """Return some of the columns, in any order."""
        integer_columns = tuple(self.integer_columns[position] for position in positions)
        cells = self.cells[list(positions)]
        if all(integer_columns) and cells.dtype != INTEGER:
            cells = cells.astype(INTEGER)
        return NumericTable(tuple(self.names[position] for position in positions), cells, integer_columns)


def _find_integer_columns(rows: list[list[float]], cells: np.ndarray) -> tuple[bool, ...]:
    """Return which columns have integers only, as written; columns with a fraction are skipped early."""
    if len(rows) == 1:
        return tuple(type(cell) is int for cell in rows[0])
    candidates = (np.floor(cells) == cells).all(axis=1)
    return tuple(
        bool(candidate) and all(type(row[position]) is int for row in rows)
        for position, candidate in enumerate(candidates)
    )


def _make_index(names: tuple[str, ...]) -> pd.Index:
    return pd.Index(names)


_shared_index = cached_by_width(_make_index, _NARROW, _WIDE)


def _index(names: tuple[str, ...]) -> pd.Index:
    """Return an index of its own: model code may give it a name."""
    return _shared_index(names).view()
