"""Select and convert the columns that a model receives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.input_schema.columns import NUMBER, InputSchema
from datarobot_drum.drum.input_schema.conform import conform
from datarobot_drum.drum.input_schema.selection import find_positions
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.numeric_table import NumericTable
from datarobot_drum.drum.tabular.table_limits import check_density

_NUMBERS = InputSchema(rest=NUMBER)


def select_features(estimator: Any, data: Any) -> Any:
    """Return the estimator's training columns in their order, or the whole table if it has no feature names.

    A sparse table becomes a CSR matrix: estimators convert a frame of sparse columns to dense.

    Raises:
        UnprocessableInput: the table lacks some of the columns.
    """
    names = getattr(estimator, "feature_names_in_", None)
    if isinstance(data, pd.DataFrame) and names is not None and data.columns.is_unique:
        columns = list(data.columns)
        data = data if columns == list(names) else data.iloc[:, find_positions(columns, list(names))]
    return to_csr(data)


class NumericFeatures:
    """A column selector for ``NumericTable`` that caches the positions for each header."""

    def __init__(self, names: Sequence[str] | None) -> None:
        self._names = None if names is None else tuple(names)
        self._find = lru_cache(maxsize=64)(self._find_positions)

    def select(self, table: NumericTable) -> NumericTable:
        """Return the training columns in their order.

        Raises:
            UnprocessableInput: the table lacks some of the columns.
        """
        if self._names is None or table.names == self._names:
            return table
        return table.select(self._find(table.names))

    def _find_positions(self, columns: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(find_positions(columns, self._names or ()))


def to_matrix(data: Any, dtype: Any) -> np.ndarray:
    """Convert the samples to a dense numeric array in C order, missing values as NaN.

    Raises:
        UnprocessableInput: a column is not numeric, or ``dtype`` cannot represent a number, such as a fraction.
    """
    dtype = np.dtype(dtype)
    if not isinstance(data, pd.DataFrame):
        if hasattr(data, "toarray"):
            check_density(data.shape[0] * data.shape[1], data.nnz)
        return _cast(data.toarray() if hasattr(data, "toarray") else np.asarray(data), dtype)
    if is_sparse(data):
        check_density(data.size, round(data.sparse.density * data.size))
    frame = conform(_NUMBERS, data.sparse.to_dense() if is_sparse(data) else data)
    types = set(frame.dtypes)
    if len(types) == 1 and isinstance(types.pop(), np.dtype):
        return _cast(frame.to_numpy(), dtype, frame.columns)
    # Column by column: a common type of all columns would round large integers.
    matrix = np.empty(frame.shape, dtype=dtype)
    for position, name in enumerate(frame.columns):
        matrix[:, position] = _cast(_column_values(frame.iloc[:, position]), dtype, [name])[:, 0]
    return matrix


def _column_values(series: pd.Series[Any]) -> np.ndarray:
    is_plain = isinstance(series.dtype, np.dtype)
    values: np.ndarray = series.to_numpy() if is_plain else series.to_numpy(np.float64, na_value=np.nan)
    return values.reshape(-1, 1)


def _cast(values: np.ndarray, dtype: np.dtype[Any], names: Sequence[Any] | None = None) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        cast = np.ascontiguousarray(values, dtype=dtype)
    if dtype.kind in "iub" and not np.array_equal(cast, values):
        kind = "truth values" if dtype.kind == "b" else "whole numbers"
        row, column = np.argwhere(cast != values)[0]
        where = f"column {column + 1}" if names is None else names[column]
        raise UnprocessableInput(
            f"The model takes {kind} only, and there are others among the samples: {where} (row {row + 1}: "
            f"{values[row, column]})."
        )
    return cast


def to_csr(data: Any) -> Any:
    """Convert a table of sparse columns to a CSR matrix; return anything else as it is."""
    return data.sparse.to_coo().tocsr() if isinstance(data, pd.DataFrame) and is_sparse(data) else data


def is_sparse(data: pd.DataFrame) -> bool:
    """Return True if every column has a sparse type."""
    return bool(len(data.columns)) and all(isinstance(dtype, pd.SparseDtype) for dtype in data.dtypes)
