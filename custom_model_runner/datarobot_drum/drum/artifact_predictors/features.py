"""What of the samples a model is handed, and in which form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.numeric_table import NumericTable

MAX_LISTED_COLUMNS = 10


def select_features(estimator: Any, data: Any) -> Any:
    """The columns that the estimator was trained on, in their order; all of the table if it does not say.

    Sparse tables become CSR matrices: estimators would make a frame of sparse columns dense.

    Raises:
        UnprocessableInput: the table lacks some of the columns.
    """
    return to_csr(select_columns(data, _feature_names(estimator)))


def select_columns(data: Any, names: Sequence[Any] | None) -> Any:
    """The columns of these names; a matrix, which has none, as it is, and so a table if no names are given.

    Raises:
        UnprocessableInput: the table lacks some of the columns.
    """
    if not isinstance(data, pd.DataFrame) or names is None or not data.columns.is_unique:
        return data
    columns = list(data.columns)
    return data if columns == list(names) else data.iloc[:, find_positions(columns, names)]


class NumericFeatures:
    """The same for tables of plain numbers: the work on names is done once for each header."""

    def __init__(self, names: Sequence[str] | None) -> None:
        self._names = None if names is None else tuple(names)
        self._find = lru_cache(maxsize=64)(self._find_positions)

    def select(self, table: NumericTable) -> NumericTable:
        """The columns that the estimator was trained on, in their order.

        Raises:
            UnprocessableInput: the table lacks some of the columns.
        """
        if self._names is None or table.names == self._names:
            return table
        return table.select(self._find(table.names))

    def _find_positions(self, columns: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(find_positions(columns, self._names or ()))


def find_positions(columns: Sequence[Any], names: Sequence[Any]) -> list[int]:
    """Where each of ``names`` stands among ``columns``, which are all different.

    Raises:
        UnprocessableInput: some are not among them.
    """
    positions = {column: position for position, column in enumerate(columns)}
    if not all(name in positions for name in names):
        # LightGBM keeps its columns' names with underscores for blanks.
        positions = {str(column).replace(" ", "_"): position for column, position in positions.items()} | positions
    missing = [str(name) for name in names if name not in positions]
    if missing:
        raise UnprocessableInput(
            f"The samples lack {len(missing)} of the {len(names)} columns of the model: {_list_names(missing)}."
        )
    return [positions[name] for name in names]


def require_width(data: Any, width: int | None) -> None:
    """Whether there are as many columns as the model takes, if it says how many.

    Raises:
        UnprocessableInput: there are more or less.
    """
    if width is not None and data.shape[1] != width:
        raise UnprocessableInput(f"The samples have {data.shape[1]} columns; the model takes {width}.")


def require_numbers(data: Any, except_for: Iterable[Any] = ()) -> None:
    """Whether all columns are numbers or truth values, ``except_for`` those that need not be.

    Raises:
        UnprocessableInput: some hold text or the like.
    """
    if isinstance(data, pd.DataFrame):
        exempt = set(except_for)
        wrong = [str(name) for name, dtype in data.dtypes.items() if name not in exempt and not _is_numeric(dtype)]
        if wrong:
            raise UnprocessableInput(
                f"The model takes numbers only, and these columns hold none: {_list_names(wrong)}."
            )


def to_matrix(data: Any, dtype: Any) -> np.ndarray:
    """The samples as a dense array of numbers in C order, missing values as NaN.

    Raises:
        UnprocessableInput: a column is no number, or does not fit a whole number where those are asked for.
    """
    require_numbers(data)
    if isinstance(data, pd.DataFrame):
        dense = data.sparse.to_dense() if is_sparse(data) else data
        values = dense.to_numpy(dtype=np.float64, na_value=np.nan) if _has_extension_types(dense) else dense.to_numpy()
    else:
        values = data.toarray() if hasattr(data, "toarray") else np.asarray(data)
    with np.errstate(invalid="ignore", over="ignore"):
        cast = np.ascontiguousarray(values, dtype=dtype)
    if np.issubdtype(cast.dtype, np.integer) and not np.array_equal(cast, values):
        raise UnprocessableInput("The model takes whole numbers only, and there are others among the samples.")
    return cast


def to_csr(data: Any) -> Any:
    """A table of sparse columns as a CSR matrix; anything else as it is."""
    return data.sparse.to_coo().tocsr() if isinstance(data, pd.DataFrame) and is_sparse(data) else data


def is_sparse(data: pd.DataFrame) -> bool:
    """Whether every column is of sparse type."""
    return bool(len(data.columns)) and all(isinstance(dtype, pd.SparseDtype) for dtype in data.dtypes)


def _feature_names(estimator: Any) -> Sequence[Any] | None:
    """The names as scikit-learn keeps them, else as CatBoost does, which numbers columns that had no name."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        return list(names)
    names = getattr(estimator, "feature_names_", None)
    numbers = [str(position) for position in range(len(names or ()))]
    return None if not names or list(names) == numbers else list(names)


def _list_names(names: list[str]) -> str:
    return ", ".join(names[:MAX_LISTED_COLUMNS]) + (", ..." if len(names) > MAX_LISTED_COLUMNS else "")


def _is_numeric(dtype: Any) -> bool:
    dtype = dtype.subtype if isinstance(dtype, pd.SparseDtype) else dtype
    return bool(pd.api.types.is_numeric_dtype(dtype)) and not pd.api.types.is_complex_dtype(dtype)


def _has_extension_types(data: pd.DataFrame) -> bool:
    return any(pd.api.types.is_extension_array_dtype(dtype) for dtype in data.dtypes)
