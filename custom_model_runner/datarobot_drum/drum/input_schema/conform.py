"""Convert a table to the columns and types that a model takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.input_schema.cells import UnfitCell, convert, is_plain_number_type
from datarobot_drum.drum.input_schema.columns import Column, ColumnType, InputSchema, without_blanks
from datarobot_drum.drum.input_schema.selection import (
    find_positions,
    require_single_column,
    require_width,
    shown_cell,
)
from datarobot_drum.drum.tabular.column_hints import list_names
from datarobot_drum.drum.tabular.lazy_pandas import pd


def select(schema: InputSchema, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the model in its order, by name, or all of them if the model has no names.

    Columns that the model does not use are missing values if the table lacks them.

    Raises:
        UnprocessableInput: the table lacks some columns, or their number differs.
    """
    if schema.takes_series:
        return _select_single(schema, frame)
    if schema.names is None:
        require_width(frame, schema.width)
        return frame
    columns = list(frame.columns)
    if columns == list(schema.names):
        return frame
    given = {*columns, *map(without_blanks, columns)}
    absent = frozenset(
        name
        for name, column in zip(schema.names, schema.columns, strict=True)
        if not column.is_required and name not in given
    )
    _reject_duplicates(schema.names, columns)
    selected = frame.iloc[:, find_positions(columns, schema.names, absent)]
    if not absent:
        return selected
    present = [name for name in schema.names if name not in absent]
    return selected.set_axis(present, axis=1).reindex(columns=list(schema.names))


def _select_single(schema: InputSchema, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the only column, or the one that the owner of the model declared."""
    declared = list(schema.declared)
    if len(declared) == 1 and frame.columns.tolist().count(declared[0]) == 1:
        return frame[declared]
    require_single_column(frame.columns)
    return frame


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
            wrong.append(f"{frame.columns[position]} (row {error.row + 1}: {shown_cell(error.cell)})")
            continue
        if converted is not series:
            conformed = frame.copy(deep=False) if conformed is frame else conformed
            conformed.isetitem(position, converted)
    if wrong:
        raise _unfit_cells(wrong, columns)
    return conformed


def _is_conforming(column: Column, dtype: Any) -> bool:
    if column.type is ColumnType.NUMBER:
        return is_plain_number_type(dtype) and not column.missing_is_none and column.dtype is None
    return column.type is ColumnType.ANY


def _unfit_cells(wrong: list[str], columns: tuple[Column, ...]) -> UnprocessableInput:
    takes_numbers_only = all(column.type is ColumnType.NUMBER for column in columns)
    if takes_numbers_only:
        return UnprocessableInput(f"The model takes numbers only, and these columns hold none: {list_names(wrong)}.")
    return UnprocessableInput(f"These columns hold values of another type than the model takes: {list_names(wrong)}.")
