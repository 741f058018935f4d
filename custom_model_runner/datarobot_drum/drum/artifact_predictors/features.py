"""Select and convert the columns that a model receives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.input_schema.cells import is_number_type
from datarobot_drum.drum.input_schema.selection import find_positions, list_names
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.numeric_table import NumericTable
from datarobot_drum.drum.tabular.table_limits import check_density


def select_features(estimator: Any, data: Any) -> Any:
    """Return the estimator's training columns in their order, or the whole table if it has no feature names.

    A sparse table becomes a CSR matrix: estimators convert a frame of sparse columns to dense.

    Raises:
        UnprocessableInput: the table lacks some of the columns.
    """
    return to_csr(select_columns(data, _feature_names(estimator)))


def select_columns(data: Any, names: Sequence[Any] | None) -> Any:
    """Return the columns of these names; a matrix, or a table without ``names``, is returned as it is.

    Raises:
        UnprocessableInput: the table lacks some of the columns.
    """
    if not isinstance(data, pd.DataFrame) or names is None or not data.columns.is_unique:
        return data
    columns = list(data.columns)
    return data if columns == list(names) else data.iloc[:, find_positions(columns, names)]


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


def require_numbers(data: Any, except_for: Iterable[Any] = ()) -> None:
    """Require numeric or boolean columns, except those in ``except_for``.

    Raises:
        UnprocessableInput: some columns have another type, such as text.
    """
    if isinstance(data, pd.DataFrame):
        exempt = set(except_for)
        wrong = [str(name) for name, dtype in data.dtypes.items() if name not in exempt and not is_number_type(dtype)]
        if wrong:
            raise UnprocessableInput(f"The model takes numbers only, and these columns hold none: {list_names(wrong)}.")


def to_matrix(data: Any, dtype: Any) -> np.ndarray:
    """Convert the samples to a dense numeric array in C order, missing values as NaN.

    Raises:
        UnprocessableInput: a column is not numeric, or has fractions although ``dtype`` is an integer type.
    """
    require_numbers(data)
    if isinstance(data, pd.DataFrame):
        if is_sparse(data):
            check_density(data.size, round(data.sparse.density * data.size))
        dense = data.sparse.to_dense() if is_sparse(data) else data
        values = dense.to_numpy(dtype=np.float64, na_value=np.nan) if _has_extension_types(dense) else dense.to_numpy()
    else:
        if hasattr(data, "toarray"):
            check_density(data.shape[0] * data.shape[1], data.nnz)
        values = data.toarray() if hasattr(data, "toarray") else np.asarray(data)
    with np.errstate(invalid="ignore", over="ignore"):
        cast = np.ascontiguousarray(values, dtype=dtype)
    if np.issubdtype(cast.dtype, np.integer) and not np.array_equal(cast, values):
        raise UnprocessableInput("The model takes whole numbers only, and there are others among the samples.")
    return cast


def to_csr(data: Any) -> Any:
    """Convert a table of sparse columns to a CSR matrix; return anything else as it is."""
    return data.sparse.to_coo().tocsr() if isinstance(data, pd.DataFrame) and is_sparse(data) else data


def is_sparse(data: pd.DataFrame) -> bool:
    """Return True if every column has a sparse type."""
    return bool(len(data.columns)) and all(isinstance(dtype, pd.SparseDtype) for dtype in data.dtypes)


def _feature_names(estimator: Any) -> Sequence[Any] | None:
    """Return the names that scikit-learn or CatBoost stores; CatBoost numbers unnamed columns, which counts as none."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        return list(names)
    names = getattr(estimator, "feature_names_", None)
    numbers = [str(position) for position in range(len(names or ()))]
    return None if not names or list(names) == numbers else list(names)


def _has_extension_types(data: pd.DataFrame) -> bool:
    return any(pd.api.types.is_extension_array_dtype(dtype) for dtype in data.dtypes)
