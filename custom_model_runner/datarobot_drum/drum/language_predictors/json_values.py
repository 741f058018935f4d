"""Encode model output as JSON. Values that JSON does not have are converted where nothing is lost.

======================================  ====================================================================
NaN, infinities, NaT, NA                null
Decimal, long double                    a number if a float has the same value, else text
whole numbers of more than 64 bits      a number of as many digits
date, time, Timestamp, ``datetime64``   ISO 8601 text
Timedelta, ``timedelta64``              ISO 8601 duration: ``P1DT2H0M0S``
Period, Interval, UUID, path, Fraction  text
bytes                                   base64 text
set, Series, array, range, deque        list; a set in ascending order, if it has one
DataFrame                               list of objects, one per row
keys of a dict                          text
======================================  ====================================================================
"""

from __future__ import annotations

import base64
import json
import math
from collections import deque
from collections.abc import Iterable, KeysView, Mapping, ValuesView
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import orjson

from datarobot_drum.drum.exceptions import PredictionError
from datarobot_drum.drum.tabular.lazy_pandas import pd

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_DEPTH = 200
_INT64, _UINT64 = -(1 << 63), (1 << 64) - 1


def encode(value: Any) -> bytes:
    """Encode model output as JSON.

    Raises:
        PredictionError: it holds a value that JSON cannot carry.
    """
    try:
        return orjson.dumps(value, default=_to_json_type)
    except TypeError:  # also large integers and keys that are no text, for which orjson calls no function
        pass
    try:
        return orjson.dumps(_convert(value, 0))
    except TypeError as error:
        raise PredictionError(f"The model returned a value that JSON cannot carry: {error}.") from error


def encode_cells(rows: Sequence[Any], columns: Sequence[str]) -> bytes:
    """Encode a list of rows: objects with these keys, or values of the only column.

    Raises:
        PredictionError: JSON cannot carry a value; the message names its column and row.
    """
    try:
        return encode(rows)
    except PredictionError as error:
        for number, row in enumerate(rows, start=1):
            for column, cell in row.items() if isinstance(row, dict) else [(columns[0], row)]:
                _require_encodable(cell, column, number)
        raise error


def to_plain(value: Any) -> Any:
    """Return a value as it is after a way through JSON.

    Raises:
        PredictionError: JSON cannot carry it.
    """
    return json.loads(encode(value))


_TEXT_ONLY = (bytes, bytearray, memoryview, timedelta, np.timedelta64, set, frozenset, np.ndarray)


def to_cell(value: Any) -> Any:
    """Return a value for a csv cell: as it is if its text is plain, else as JSON has it."""
    if isinstance(value, _TEXT_ONLY):
        plain = to_plain(value)
        return json.dumps(plain, ensure_ascii=False) if isinstance(plain, list) else plain
    return value


def _require_encodable(cell: Any, column: str, row: int) -> None:
    try:
        encode(cell)
    except PredictionError as error:
        cause = error.__cause__ or error
        raise PredictionError(
            f"The model returned a value in column {column!r}, row {row} that JSON cannot carry: {cause}."
        ) from error


def _to_json_type(value: Any) -> Any:
    """Return a value without a JSON form as one with; containers keep their items as they are."""
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value)
    converted = _convert_pandas(value)
    if converted is value:
        raise TypeError(f"Type {type(value).__name__} has no JSON form")
    return converted


def _convert(value: Any, depth: int) -> Any:
    """Return a value of JSON's own types at any depth."""
    if depth > MAX_DEPTH:
        raise TypeError("it is nested too deeply, or contains itself")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value) if _INT64 <= value <= _UINT64 else orjson.Fragment(str(int(value)).encode())
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Enum):
        return _convert(value.value, depth + 1)
    if isinstance(value, Mapping):
        return _with_text_keys(value, depth)
    if isinstance(value, list | tuple):
        return [_convert(item, depth + 1) for item in value]
    return _convert(_to_json_type(value), depth + 1)


def _with_text_keys(mapping: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    converted = {_to_key(key): _convert(item, depth + 1) for key, item in mapping.items()}
    if len(converted) < len(mapping):
        raise TypeError("a dict has keys that are equal as text")
    return converted


def _to_key(key: Any) -> str:
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, tuple):
        return ", ".join(map(_to_key, key))
    text = orjson.loads(orjson.dumps(_convert(key, 0)))
    return text if isinstance(text, str) else orjson.dumps(text).decode()


def _from_decimal(value: Decimal) -> Any:
    if not value.is_finite():
        return None
    if value == value.to_integral_value() and abs(value) <= _UINT64:
        return int(value)
    number = float(value)
    return number if math.isfinite(number) and Decimal(repr(number)) == value else str(value)


def _from_numpy(value: Any) -> Any:
    if value.dtype.char == "g":  # long double, which has more digits than a float
        number = float(value)
        return number if np.longdouble(number) == value or math.isnan(number) else str(value)
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else pd.Timestamp(value).isoformat()
    if isinstance(value, np.timedelta64):
        return None if np.isnat(value) else pd.Timedelta(value).isoformat()
    if isinstance(value, np.complexfloating):
        raise TypeError(f"Type {type(value).__name__} has no JSON form")
    return value.item()


def _from_timedelta(value: timedelta) -> str | None:
    return None if value is pd.NaT else str(pd.Timedelta(value).isoformat())


def _from_bytes(value: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(value).decode("ascii")


def _from_set(value: Iterable[Any]) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:  # items of several types have no order
        return list(value)


def _from_array(value: np.ndarray) -> list[Any]:
    return list(value) if value.dtype.kind in "mMg" else value.tolist()


def _convert_pandas(value: Any) -> Any:
    """Return a value of pandas, a dataclass or an object of pydantic in another form; ``value`` itself without one."""
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, pd.DataFrame):
        return records(value)
    if isinstance(value, pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        return list(value)
    if isinstance(value, pd.Period | pd.Interval):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else value


_CONVERSIONS: tuple[tuple[Any, Any], ...] = (
    (np.generic, _from_numpy),
    (np.ndarray, _from_array),
    (Decimal, _from_decimal),
    (timedelta, _from_timedelta),
    (datetime | date | time, lambda value: None if value is pd.NaT else value.isoformat()),
    (bytes | bytearray | memoryview, _from_bytes),
    (set | frozenset, _from_set),
    (Mapping, dict),
    (tuple | deque | range | KeysView | ValuesView, list),
    (PurePath | Fraction | UUID, str),
)
"""The conversion of each kind, the first one that fits; for types that every model may use without pandas."""


def records(frame: Any) -> list[dict[str, Any]]:
    """Return the rows of a DataFrame as objects; missing values become None."""
    columns = [str(name) for name in frame.columns]
    cells = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    return [dict(zip(columns, row, strict=True)) for row in cells]
