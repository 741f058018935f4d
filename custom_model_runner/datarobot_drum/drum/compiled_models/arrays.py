"""Convert samples to arrays exactly as the validation of scikit-learn does, without its other checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datarobot_drum.drum.compiled_models.forms import NotCoveredError
from datarobot_drum.drum.tabular.lazy_pandas import pd

_NUMBERS = frozenset(map(np.dtype, "f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 ?".split()))
"""The types whose conversion is repeated. Half precision is not: some estimators compute in it."""
_OBJECTS = frozenset({np.dtype(object)})


@dataclass(frozen=True, eq=False)
class Columns:
    """Some columns of a table, each as an array: numbers, or objects for texts."""

    cells: Sequence[np.ndarray]

    def take(self, positions: Sequence[int]) -> Columns:
        return Columns([self.cells[position] for position in positions])

    def to_array(self) -> np.ndarray:
        """Return the columns as one array, as the frame with these columns converts to one.

        Raises:
            NotCoveredError: booleans beside numbers, which scikit-learn converts by way of objects.
        """
        if len({cells.dtype.kind == "b" for cells in self.cells}) > 1:
            raise NotCoveredError
        array = np.empty((len(self.cells[0]), len(self.cells)), np.result_type(*self.cells), order="F")
        for position, cells in enumerate(self.cells):
            array[:, position] = cells
        return array


def columns_of(data: Any) -> Sequence[np.ndarray]:
    """Return the cells of each column.

    Raises:
        NotCoveredError: a column has a type of pandas' own, other than text.
    """
    if isinstance(data, Columns):
        return data.cells
    if isinstance(data, pd.DataFrame):
        return [_cells(series) for _, series in data.items()]
    if type(data) is np.ndarray and data.ndim == 2:
        return list(data.T)
    raise NotCoveredError


def _cells(series: Any) -> np.ndarray:
    dtype = series.dtype
    if dtype in _NUMBERS or dtype in _OBJECTS:
        cells: np.ndarray = series.to_numpy()
        return cells
    if isinstance(dtype, pd.StringDtype):
        return np.asarray(series, dtype=object)
    raise NotCoveredError


def to_floats(data: Any, dtype: Any = None, *, copy: bool = False) -> np.ndarray:
    """Return the samples as floats in the memory layout that scikit-learn's validation keeps.

    Args:
        dtype: the type to convert to; None keeps float32 and float64, and converts all others to float64.

    Raises:
        NotCoveredError: the samples are no dense numbers.
    """
    if isinstance(data, Columns):
        data, copy = data.to_array(), False
    elif isinstance(data, pd.DataFrame):
        data = _frame_values(data, dtype)
    if type(data) is not np.ndarray or data.ndim != 2 or data.dtype not in _NUMBERS:
        raise NotCoveredError
    target = _float_type(data, dtype)
    return np.array(data, dtype=target, order="K") if copy else np.asarray(data, dtype=target)


def to_singles(data: Any) -> np.ndarray:
    """Return the samples as float32, each column rounded once, from its own type, as XGBoost reads a frame.

    Raises:
        NotCoveredError: the samples are no dense numbers.
    """
    if not isinstance(data, pd.DataFrame) or len(set(_require_plain_numbers(data))) == 1:
        return to_floats(data, np.float32)
    values = np.empty(data.shape, np.float32)
    for position, cells in enumerate(columns_of(data)):
        values[:, position] = cells
    return values


def to_numbers(data: Any) -> np.ndarray:
    """Return the samples as numbers of any type: some estimators multiply integers as they are.

    Raises:
        NotCoveredError: the samples are no dense numbers.
    """
    if isinstance(data, Columns):
        data = data.to_array()
    elif isinstance(data, pd.DataFrame):
        _require_plain_numbers(data)
        data = np.asarray(data)  # objects of booleans beside numbers are left to the original
    if type(data) is not np.ndarray or data.ndim != 2 or data.dtype not in _NUMBERS:
        raise NotCoveredError
    return data


def _float_type(array: np.ndarray, dtype: Any) -> Any:
    if dtype is not None:
        return dtype
    return array.dtype if array.dtype in (np.float64, np.float32) else np.float64


def _frame_values(frame: pd.DataFrame, dtype: Any) -> np.ndarray:
    """Return the values of a frame of plain numbers.

    Raises:
        NotCoveredError: a column has a type of pandas' own, or no numbers.
    """
    common = np.result_type(*_require_plain_numbers(frame))
    if dtype is None and common.kind != "f":
        dtype = np.float64
    return np.asarray(frame, dtype=dtype)


def _require_plain_numbers(frame: pd.DataFrame) -> list[Any]:
    dtypes: list[Any] = frame.dtypes.tolist()
    if not dtypes or not all(item in _NUMBERS for item in dtypes):
        raise NotCoveredError
    return dtypes


def require_finite(array: np.ndarray) -> None:
    """Require numbers that every estimator accepts.

    Raises:
        NotCoveredError: there is a missing or an infinite value.
    """
    if not np.isfinite(array).all():
        raise NotCoveredError


def require_no_infinity(array: np.ndarray) -> None:
    """Require finite numbers or missing values.

    Raises:
        NotCoveredError: there is an infinite value.
    """
    if not np.isfinite(array).all() and np.isinf(array).any():
        raise NotCoveredError


def require_width(array: Any, width: int) -> None:
    """Require the number of columns of training, and at least one row.

    Raises:
        NotCoveredError: the original rejects the samples.
    """
    if array.ndim != 2 or array.shape[1] != width or not array.shape[0]:
        raise NotCoveredError
