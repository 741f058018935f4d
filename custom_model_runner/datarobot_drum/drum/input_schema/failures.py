"""Explain why a model failed by the cells that it does not take. This runs only after a failure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.input_schema.columns import Column, InputSchema
from datarobot_drum.drum.input_schema.selection import shown_cell
from datarobot_drum.drum.tabular.column_hints import list_names
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.numeric_table import NumericTable

_MISSING = re.compile(r"\bnan\b|\binf\b|infinity|infinite|missing", re.IGNORECASE)
_UNKNOWN = re.compile(r"unknown categor", re.IGNORECASE)
_NO_NUMBER = re.compile(r"could not convert string to float: (['\"])(?P<cell>.*)\1", re.DOTALL)

FindRow = Callable[["pd.Series[Any]", Column], Any]
"""Return a mask of the cells that the model does not take."""


def explain_failure(schema: InputSchema, data: Any, error: ValueError) -> None:
    """Name the cells that made a model fail, if its error is about them.

    Raises:
        UnprocessableInput: there are such cells; the message names their columns, and the first row of each.
    """
    frame = _to_frame(data)
    if frame is None:
        return
    text = str(error)
    if _UNKNOWN.search(text):
        _raise_if_found(
            "These columns hold values that the model does not know", _find(schema, frame, _not_allowed), error
        )
    if found := _NO_NUMBER.search(text):
        cell = found["cell"]
        _raise_if_found(
            "These columns hold values of another type than the model takes",
            _find(schema, frame, lambda cells, column: (cells == cell).to_numpy(dtype=bool, na_value=False)),
            error,
        )
    if _MISSING.search(text):
        kinds = "infinite" if schema.accepts_missing else "missing or infinite"
        find = _infinite if schema.accepts_missing else _unusable
        _raise_if_found(f"The model takes no {kinds} numbers, and there are some", _find(schema, frame, find), error)


def _to_frame(data: Any) -> pd.DataFrame | None:
    if isinstance(data, NumericTable):
        return data.to_frame()
    if isinstance(data, pd.Series):
        return data.to_frame()
    return data if isinstance(data, pd.DataFrame) else None


def _raise_if_found(reason: str, found: Iterator[str], error: ValueError) -> None:
    if columns := list(found):
        raise UnprocessableInput(f"{reason}: {list_names(columns)}.") from error


def _find(schema: InputSchema, frame: pd.DataFrame, find_cells: FindRow) -> Iterator[str]:
    """Yield the columns with such cells, with the first row and its cell."""
    for position, column in enumerate(schema.resolve(frame.columns)):
        cells = frame.iloc[:, position]
        wrong = find_cells(cells, column)
        if wrong.any():
            row = int(wrong.argmax())
            yield f"{frame.columns[position]} (row {row + 1}: {shown_cell(cells.iloc[row])})"


def _unusable(cells: pd.Series[Any], column: Column) -> Any:
    missing = cells.isna().to_numpy() & (column.rejects_missing and column.is_numeric)
    return missing | _infinite(cells, column)


def _infinite(cells: pd.Series[Any], column: Column) -> Any:
    is_float = isinstance(cells.dtype, np.dtype) and cells.dtype.kind == "f" and column.is_required
    return np.isinf(cells.to_numpy()) if is_float else np.zeros(len(cells), dtype=bool)


def _not_allowed(cells: pd.Series[Any], column: Column) -> Any:
    if column.allowed is None:
        return np.zeros(len(cells), dtype=bool)
    return np.array([(None if pd.isna(cell) else cell) not in column.allowed for cell in cells.tolist()], dtype=bool)
