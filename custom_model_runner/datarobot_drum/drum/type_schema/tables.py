"""One interface to inspect frames, numeric tables, sparse matrices and arrays; everything is computed on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

import numpy as np

from datarobot_drum.drum.artifact_predictors.features import is_sparse
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.numeric_table import NumericTable
from datarobot_drum.drum.type_schema.column_kinds import numeric_kinds, possible_kinds, text_kinds
from datarobot_drum.drum.type_schema.constants import DataType


class Table(ABC):
    """A table whose columns are identified by position, from 0."""

    is_sparse: bool = False

    @property
    @abstractmethod
    def width(self) -> int: ...

    @abstractmethod
    def name(self, position: int) -> str: ...

    @abstractmethod
    def kinds(self, position: int) -> frozenset[DataType]:
        """Return all kinds that the column may have."""

    @abstractmethod
    def first_missing(self) -> tuple[int, int] | None:
        """Return zero-based row and column of the first missing value."""


class FrameTable(Table):
    """A DataFrame; ``text`` are the columns that were read as text."""

    def __init__(self, frame: pd.DataFrame, text: Collection[int] = ()) -> None:
        self._frame = frame
        self._text = text
        self.is_sparse = is_sparse(frame)

    @property
    def width(self) -> int:
        return len(self._frame.columns)

    def name(self, position: int) -> str:
        return str(self._frame.columns[position])

    def kinds(self, position: int) -> frozenset[DataType]:
        column = self._frame.iloc[:, position]
        is_text = position in self._text and column.dtype.kind == "O"
        return text_kinds(column) if is_text else possible_kinds(column)

    def first_missing(self) -> tuple[int, int] | None:
        return _first(np.asarray(self._frame.isna()))


class ArrayTable(Table):
    """A numeric array with one row per sample."""

    def __init__(self, names: tuple[str, ...], values: np.ndarray) -> None:
        self._names = names
        self._values = values

    @property
    def width(self) -> int:
        return len(self._names)

    def name(self, position: int) -> str:
        return self._names[position]

    def kinds(self, position: int) -> frozenset[DataType]:
        return numeric_kinds(self._values[:, position])

    def first_missing(self) -> tuple[int, int] | None:
        return _first(np.isnan(self._values)) if self._values.dtype.kind == "f" else None


class MatrixTable(Table):
    """A numeric ``scipy.sparse`` matrix; unnamed columns are numbered from 1 in messages."""

    is_sparse = True

    def __init__(self, matrix: Any, names: tuple[str, ...] | None = None) -> None:
        self._matrix = matrix.tocsc()
        self._names = names

    @property
    def width(self) -> int:
        return int(self._matrix.shape[1])

    def name(self, position: int) -> str:
        return self._names[position] if self._names else str(position + 1)

    def kinds(self, position: int) -> frozenset[DataType]:
        start, end = self._matrix.indptr[position : position + 2]
        stored = self._matrix.data[start:end]
        # Entries that are not stored are zero.
        return numeric_kinds(stored if end - start == self._matrix.shape[0] else np.append(stored, 0))

    def first_missing(self) -> tuple[int, int] | None:
        if self._matrix.dtype.kind != "f":
            return None
        found = np.flatnonzero(np.isnan(self._matrix.data))
        if not len(found):
            return None
        column = int(np.searchsorted(self._matrix.indptr, found[0], side="right")) - 1
        return int(self._matrix.indices[found[0]]), column


def to_table(data: Any, names: tuple[str, ...] | None = None, text: Collection[int] = ()) -> Table | None:
    """Wrap ``data`` as a table; return None for other objects of a hook.

    Args:
        names: the columns of an array.
        text: the columns of a DataFrame that were read as text.
    """
    if isinstance(data, pd.DataFrame):
        return FrameTable(data, text)
    if isinstance(data, NumericTable):
        return ArrayTable(data.names, data.to_array())
    if hasattr(data, "tocsc") and len(data.shape) == 2:
        return MatrixTable(data, names)
    if isinstance(data, np.ndarray) and data.ndim == 2 and names is not None:
        if data.dtype.kind in "biuf":
            return ArrayTable(names, data)
        return FrameTable(pd.DataFrame(data, columns=list(names)))
    return None


def _first(flags: np.ndarray) -> tuple[int, int] | None:
    if not flags.any():
        return None
    row, position = np.argwhere(flags)[0]
    return int(row), int(position)
