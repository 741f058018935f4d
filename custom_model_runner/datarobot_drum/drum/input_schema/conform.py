"""Convert a table to the columns and types that a model takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.input_schema.cells import UnfitCell, convert, is_number_type
from datarobot_drum.drum.input_schema.columns import Column, ColumnType, InputSchema
from datarobot_drum.drum.input_schema.selection import find_positions, list_names, require_width
from datarobot_drum.drum.tabular.lazy_pandas import pd

_SHOWN_CHARACTERS = 40


def select(schema: InputSchema, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the model in its order, by name, or all of them if the model has no names.

    Raises:
        UnprocessableInput: the table lacks some columns, or their number differs.
    """
    if schema.names is None:
        require_width(frame, schema.width)
        return frame
    columns = list(frame.columns)
    if columns == list(schema.names):
        return frame
    optional = frozenset(
        name for name, column in zip(schema.names, schema.columns, strict=True) if not column.is_required
    )
    _reject_duplicates(schema.names, columns)
    return frame.iloc[:, find_positions(columns, schema.names, optional)]


def with_own_names(schema: InputSchema, frame: pd.DataFrame) -> pd.DataFrame:
    """Return selected columns with the names of the model, which may have underscores for blanks."""
    names = schema.names or ()
    if len(frame.columns) != len(names) or list(frame.columns) == list(names):
        return frame
    return frame.set_axis(pd.Index(names), axis=1)


def _reject_duplicates(names: Sequence[Any], columns: Sequence[Any]) -> None:
    """Reject a table with several columns of one name that the model takes."""
    counts = Counter(columns)
    several = [str(name) for name in names if counts[name] > 1]
    if several:
        raise UnprocessableInput(f"The samples have several columns of the same name: {list_names(several)}.")


def conform(schema: InputSchema, frame: pd.DataFrame) -> pd.DataFrame:
    """Convert the columns of a table to the types of the schema; return the same table if they have them already.

    Raises:
        UnprocessableInput: cells have another type; the message names their columns and rows.
    """
    wrong: list[str] = []
    conformed = frame
    columns = schema.resolve(frame.columns)
    for position, (column, dtype) in enumerate(zip(columns, frame.dtypes.tolist(), strict=True)):
        if _is_conforming(column, dtype):
            continue
        series = frame.iloc[:, position]
        try:
            converted = convert(series, column)
        except UnfitCell as error:
            wrong.append(f"{frame.columns[position]} (row {error.row + 1}: {_shown(error.cell)})")
            continue
        if converted is not series:
            conformed = frame.copy(deep=False) if conformed is frame else conformed
            conformed.isetitem(position, converted)
    if wrong:
        raise _unfit_cells(wrong, columns)
    return conformed


def reject_unusable_numbers(schema: InputSchema, frame: pd.DataFrame) -> None:
    """Explain why a model failed: it takes no missing or infinite numbers, and the table has some.

    Raises:
        UnprocessableInput: some cells are missing or infinite; the message names columns and rows.
    """
    kinds = "infinite" if schema.accepts_missing else "missing or infinite"
    found = []
    for position, column in enumerate(schema.resolve(frame.columns)):
        if column.type not in (ColumnType.NUMBER, ColumnType.ANY):
            continue
        cells = frame.iloc[:, position]
        unusable = np.zeros(len(cells), dtype=bool) if schema.accepts_missing else cells.isna().to_numpy()
        if isinstance(cells.dtype, np.dtype) and cells.dtype.kind == "f":
            unusable = unusable | np.isinf(cells.to_numpy())
        if unusable.any():
            row = int(unusable.argmax())
            found.append(f"{frame.columns[position]} (row {row + 1}: {_shown(cells.iloc[row])})")
    if found:
        raise UnprocessableInput(f"The model takes no {kinds} numbers, and there are some: {list_names(found)}.")


def _is_conforming(column: Column, dtype: Any) -> bool:
    if column.type is ColumnType.NUMBER:
        return isinstance(dtype, np.dtype | pd.SparseDtype) and is_number_type(dtype)
    return column.type is ColumnType.ANY


def _unfit_cells(wrong: list[str], columns: tuple[Column, ...]) -> UnprocessableInput:
    takes_numbers_only = all(column.type is ColumnType.NUMBER for column in columns)
    if takes_numbers_only:
        return UnprocessableInput(f"The model takes numbers only, and these columns hold none: {list_names(wrong)}.")
    return UnprocessableInput(f"These columns hold values of another type than the model takes: {list_names(wrong)}.")


def _shown(cell: Any) -> str:
    text = repr(cell) if isinstance(cell, str) else str(cell)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
