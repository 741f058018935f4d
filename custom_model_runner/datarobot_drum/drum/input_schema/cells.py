"""Convert the cells of a column to a type: each by itself, so a row gets the same value in any table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache, lru_cache
from numbers import Real
from typing import Any

import numpy as np

from datarobot_drum.drum.input_schema.columns import TEXT, Column, ColumnType
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.missing_values import MISSING_VALUES
from datarobot_drum.drum.tabular.text_columns import text_type

BOOLEANS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
"""The texts that ``pandas.read_csv`` reads as booleans."""

_MAX_EXACT_INTEGER = 2.0**53

_CACHED_COLUMNS = 1024


class UnfitCell(Exception):
    """A cell does not have the type of its column; ``row`` counts from 0."""

    def __init__(self, row: int, cell: Any) -> None:
        super().__init__(row, cell)
        self.row = row
        self.cell = cell


def convert(series: pd.Series[Any], column: Column) -> pd.Series[Any]:
    """Return the cells with the type of ``column``; the same object if they have it already.

    Raises:
        UnfitCell: a cell has no value of this type.
    """
    converted = _CONVERSIONS[column.type](series, column)
    return _with_none(converted) if column.missing_is_none else converted


def is_number_type(dtype: Any) -> bool:
    """Return True for real numbers and booleans, dense or sparse."""
    dtype = dtype.subtype if isinstance(dtype, pd.SparseDtype) else dtype
    if isinstance(dtype, np.dtype):
        return dtype.kind in "iufb"
    return bool(pd.api.types.is_numeric_dtype(dtype)) and not pd.api.types.is_complex_dtype(dtype)


def is_plain_number_type(dtype: Any) -> bool:
    """Return True for real numbers and booleans in an array of NumPy, dense or sparse."""
    return is_number_type(dtype) and isinstance(dtype, np.dtype | pd.SparseDtype)


def _without_extension_type(series: pd.Series[Any]) -> pd.Series[Any]:
    """Convert a column of nullable numbers, which has ``pandas.NA`` for a missing cell, to one of NumPy."""
    has_missing = bool(series.isna().any())
    cells = series.to_numpy(dtype=np.float64, na_value=np.nan) if has_missing else series.to_numpy()
    return pd.Series(cells, index=series.index).infer_objects()


def _with_none(series: pd.Series[Any]) -> pd.Series[Any]:
    are_missing = series.isna()
    return series.astype(object).mask(are_missing, None) if are_missing.any() else series


def _as_read(series: pd.Series[Any], column: Column) -> pd.Series[Any]:
    return series


def _to_numbers(series: pd.Series[Any], column: Column) -> pd.Series[Any]:
    numbers = _to_plain_numbers(_without_categories(series))
    return numbers if column.dtype is None else numbers.astype(column.dtype)


def _to_plain_numbers(series: pd.Series[Any]) -> pd.Series[Any]:
    if is_plain_number_type(series.dtype):
        return series
    if is_number_type(series.dtype):
        return _without_extension_type(series)
    return pd.Series(_map(series, _cell_number, np.nan), index=series.index, dtype=np.float64)


def _to_text(series: pd.Series[Any], column: Column) -> pd.Series[Any]:
    if not isinstance(series.dtype, pd.StringDtype) or series.dtype != text_type():
        texts = _map(_without_categories(series), cell_text, np.nan)
        series = pd.Series(texts, index=series.index, dtype=text_type())
    if column.spellings:
        series = series.map(lambda text: column.spellings.get(text, text), na_action="ignore").astype(text_type())
    return series if column.fill is None else series.fillna(column.fill)


def _to_categories(series: pd.Series[Any], column: Column) -> pd.Series[Any]:
    categories = column.categories
    assert categories is not None
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype) and _are_same(dtype.categories, categories):
        return series
    plain = _without_categories(series)
    if column.has_text_categories:
        # A csv shows empty text as an empty cell.
        texts = _to_text(plain, TEXT)
        codes = _text_codes(texts.fillna("") if "" in categories else texts, column)
    else:
        known, key = _known_categories(column)
        codes = np.array(_map(plain, lambda cell: known.get(key(cell), -1), -1), dtype=np.int64)
    return pd.Series(pd.Categorical.from_codes(codes, categories=categories), index=series.index)


def _are_same(categories: pd.Index, others: pd.Index) -> bool:
    return bool(categories.dtype == others.dtype) and categories.equals(others)


def _text_codes(texts: pd.Series[Any], column: Column) -> np.ndarray:
    """Return the position of each text among the categories; -1 for missing and unknown texts."""
    assert column.categories is not None
    codes: np.ndarray = column.categories.get_indexer(pd.Index(texts))
    if column.truncated:
        for row in np.flatnonzero(codes == -1):
            codes[row] = _truncated_code(texts.iloc[row], column.truncated)
    return codes


def _truncated_code(cell: Any, truncated: Mapping[int, tuple[str, int]]) -> int:
    if isinstance(cell, str):
        for code, (start, length) in truncated.items():
            if len(cell) == length and cell.startswith(start):
                return code
    return -1


@lru_cache(maxsize=_CACHED_COLUMNS)
def _known_categories(column: Column) -> tuple[dict[Any, int], Callable[[Any], Any]]:
    """Return the codes of the categories by key, and the function from a cell to its key."""
    assert column.categories is not None
    key = _date_key if isinstance(column.categories, pd.DatetimeIndex) else _category_key
    return {key(value): code for code, value in enumerate(column.categories)}, key


def _to_booleans(series: pd.Series[Any], column: Column) -> pd.Series[Any]:
    series = _without_categories(series)
    if series.dtype == bool:
        return series
    cells = _map(series, _cell_boolean, np.nan)
    has_missing = any(cell is np.nan for cell in cells)
    return pd.Series(cells, index=series.index, dtype=(column.dtype or object) if has_missing else bool)


def _to_dates(series: pd.Series[Any], column: Column) -> pd.Series[Any]:
    dtype = default_date_type() if column.dtype is None else column.dtype
    if series.dtype == dtype:
        return series
    cells = _map(_without_categories(series), _date_reader(dtype), None)
    return pd.Series(cells, index=series.index, dtype=object if dtype is dt.date else dtype)


@cache
def default_date_type() -> Any:
    """Return the type of dates that ``pandas.to_datetime`` makes of text, which depends on its version."""
    return pd.to_datetime(pd.Series(["2000-01-01"])).dtype


def _date_reader(dtype: Any) -> Callable[[Any], Any]:
    """Return a function that converts a cell to a date, or to a duration for a type of durations."""
    if dtype is dt.date:
        return lambda cell: None if (found := _cell_timestamp(cell)) is pd.NaT else found.date()
    unit, zone = np.datetime_data(getattr(dtype, "base", dtype))[0], getattr(dtype, "tz", None)
    if dtype.kind == "m":
        return lambda cell: _cell_duration(cell).as_unit(unit)

    def read(cell: Any) -> Any:
        found = _cell_timestamp(cell)
        if found is pd.NaT:
            return found
        return _in_time_zone(found, zone).as_unit(unit)

    return read


def _in_time_zone(date: Any, zone: Any) -> Any:
    """Take a date without a time zone to be in that of training, UTC if training had none."""
    if zone is not None:
        return date.tz_localize(zone) if date.tzinfo is None else date.tz_convert(zone)
    return date if date.tzinfo is None else date.tz_convert("UTC").tz_localize(None)


_CONVERSIONS: dict[ColumnType, Callable[[Any, Column], Any]] = {
    ColumnType.NUMBER: _to_numbers,
    ColumnType.TEXT: _to_text,
    ColumnType.CATEGORY: _to_categories,
    ColumnType.BOOLEAN: _to_booleans,
    ColumnType.DATE: _to_dates,
    ColumnType.ANY: _as_read,
}


def _map(series: pd.Series[Any], convert_cell: Callable[[Any], Any], missing: Any) -> list[Any]:
    """Convert each cell that is not missing.

    Raises:
        UnfitCell: ``convert_cell`` failed.
    """
    are_missing = series.isna().to_numpy()
    converted: list[Any] = []
    try:
        for cell, is_missing in zip(series.tolist(), are_missing, strict=True):
            converted.append(missing if is_missing else convert_cell(cell))
    except (ValueError, TypeError, OverflowError) as error:
        raise UnfitCell(len(converted), cell) from error
    return converted


def _without_categories(series: pd.Series[Any]) -> pd.Series[Any]:
    return series.astype(series.dtype.categories.dtype) if isinstance(series.dtype, pd.CategoricalDtype) else series


def cell_text(cell: Any) -> str:
    """Return a cell as text. A whole number has no fraction, since missing cells turn integers into floats."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, float | np.floating) and cell.is_integer() and abs(float(cell)) < _MAX_EXACT_INTEGER:
        return str(int(cell))
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    return str(cell)


def _cell_number(cell: Any) -> float:
    if not isinstance(cell, str):
        if isinstance(cell, Real | Decimal | np.bool_):
            return float(cell)
        raise ValueError
    if cell in BOOLEANS:
        return float(BOOLEANS[cell])
    if cell in MISSING_VALUES:
        return float("nan")
    if "_" in cell:  # Python allows it in numbers, csv does not
        raise ValueError
    return float(cell)


def _cell_boolean(cell: Any) -> bool | float:
    if isinstance(cell, str):
        if cell in MISSING_VALUES:
            return np.nan
        return BOOLEANS[cell] if cell in BOOLEANS else _number_to_boolean(_cell_number(cell))
    return _number_to_boolean(cell)


def _number_to_boolean(cell: Any) -> bool:
    if cell in (0, 1):
        return bool(cell)
    raise ValueError


def _cell_timestamp(cell: Any) -> Any:
    if isinstance(cell, str):
        if cell in MISSING_VALUES:
            return pd.NaT
        if not any(map(str.isdigit, cell)):  # pandas takes "now" for a date
            raise ValueError
        return pd.Timestamp(cell)
    if isinstance(cell, dt.date | np.datetime64):
        return pd.Timestamp(cell)
    raise ValueError


def _cell_duration(cell: Any) -> Any:
    if isinstance(cell, str):
        return pd.NaT if cell in MISSING_VALUES else pd.Timedelta(cell)
    if isinstance(cell, dt.timedelta | np.timedelta64):
        return pd.Timedelta(cell)
    raise ValueError


def _category_key(cell: Any) -> Any:
    """Return a key that is equal for a category and for the cell of any table that means it."""
    if isinstance(cell, str):
        return _text_key(cell)
    if isinstance(cell, np.bool_ | bool):
        return bool(cell)
    if isinstance(cell, Real | Decimal):
        return cell
    return str(cell)  # intervals and the like


def _text_key(cell: str) -> Any:
    if cell in BOOLEANS:
        return BOOLEANS[cell]
    if cell.isascii() and cell.isdigit():
        return int(cell)  # exact, unlike a float
    try:
        return _cell_number(cell)
    except ValueError:
        return cell


def _date_key(cell: Any) -> Any:
    try:
        return _cell_timestamp(cell)
    except ValueError:
        return None
