"""Infer the possible kinds of a column.

A column of numbers is NUM, of dates DATE, of durations DATE_DURATION, of base64 images IMG; any other is TXT. Text is
also CAT if every cell is short. Numbers are also CAT if all are integers: categories often have numeric codes.
Missing cells are ignored, and a column of missing cells has every kind.

The fraction of distinct values is ignored, so a cell has the same kinds alone and among ten thousand. Texts that are
numbers or dates count as those, since a csv cannot distinguish them.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.type_schema.constants import DataType

MAX_CATEGORY_LENGTH = 100
"""Characters."""

MAX_CATEGORY_WORDS = 10

ANY_KIND = frozenset(DataType)

_INTEGER_KINDS = frozenset({DataType.NUM, DataType.CAT})
_TEXT_KINDS = frozenset({DataType.TXT})
_SHORT_TEXT_KINDS = frozenset({DataType.TXT, DataType.CAT})

_DATE = re.compile(
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})"
    r"([T ]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?(Z|UTC|[+-]\d{2}:?\d{2}))?)?"
)
_DURATION = re.compile(
    r"-?P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?"
    r"|-?\d+ days?(,? [+-]?\d{1,2}:\d{2}:\d{2}(\.\d+)?)?"
)
_IMAGE_PREFIXES = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "SUkqA", "TU0AK")
"""PNG, JPEG, GIF, WebP and both kinds of TIFF, in base64."""


def possible_kinds(column: pd.Series[Any]) -> frozenset[DataType]:
    """Return all kinds that the column may have."""
    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        column = pd.Series(np.asarray(column.array.sp_values))
        dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iuf":
        return numeric_kinds(column.to_numpy())
    if pd.api.types.is_bool_dtype(dtype):
        return _INTEGER_KINDS
    if pd.api.types.is_complex_dtype(dtype):
        return frozenset({DataType.NUM})
    if pd.api.types.is_numeric_dtype(dtype):
        return numeric_kinds(column.dropna().to_numpy(dtype=np.float64))
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return frozenset({DataType.DATE})
    if pd.api.types.is_timedelta64_dtype(dtype):
        return frozenset({DataType.DATE_DURATION})
    return _cell_kinds(column)


def text_kinds(column: pd.Series[Any]) -> frozenset[DataType]:
    """Return the kinds of a column that was read as text, whatever its cells look like."""
    cells = column.dropna().tolist()
    if not cells:
        return ANY_KIND
    return _SHORT_TEXT_KINDS if all(map(_is_short, cells)) else _TEXT_KINDS


def numeric_kinds(values: np.ndarray) -> frozenset[DataType]:
    """Return the possible kinds of numbers, missing ones ignored."""
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
        if len(values) == 0:
            return ANY_KIND
        return _INTEGER_KINDS if bool((np.floor(values) == values).all()) else frozenset({DataType.NUM})
    return _INTEGER_KINDS if len(values) else ANY_KIND


def _cell_kinds(column: pd.Series[Any]) -> frozenset[DataType]:
    try:
        cells = [cell for cell in set(column.tolist()) if not _is_missing(cell)]
    except TypeError:  # lists and dicts are not hashable
        return _TEXT_KINDS
    if not cells:
        return ANY_KIND
    kind = _cell_kind(cells[0])
    if kind is None or any(_cell_kind(cell) is not kind for cell in cells):
        return _SHORT_TEXT_KINDS if all(map(_is_short, cells)) else _TEXT_KINDS
    if kind is DataType.NUM:
        return numeric_kinds(np.array([float(cell) for cell in cells]))
    return frozenset({kind})


def _is_missing(cell: Any) -> bool:
    return cell is None or cell is pd.NA or cell != cell


def _cell_kind(cell: Any) -> DataType | None:
    """Return the kind of a cell; None for text."""
    if isinstance(cell, Real | Decimal | np.bool_):
        return DataType.NUM
    if isinstance(cell, dt.timedelta | np.timedelta64):
        return DataType.DATE_DURATION
    if isinstance(cell, dt.date | np.datetime64):
        return DataType.DATE
    text = str(cell).strip()
    if text.startswith(_IMAGE_PREFIXES) and len(text) > MAX_CATEGORY_LENGTH:
        return DataType.IMG
    if _is_number(text):
        return DataType.NUM
    if _DATE.fullmatch(text):
        return DataType.DATE
    return DataType.DATE_DURATION if _DURATION.fullmatch(text) else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text and any(map(str.isdigit, text))  # neither 1_000 nor the word nan


def _is_short(cell: Any) -> bool:
    text = str(cell)
    return len(text) <= MAX_CATEGORY_LENGTH and len(text.split()) <= MAX_CATEGORY_WORDS and len(text.splitlines()) <= 1
