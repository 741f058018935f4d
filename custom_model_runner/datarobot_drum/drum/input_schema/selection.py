"""Select the columns of a model from a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.input_schema.columns import ColumnType, InputSchema, without_blanks
from datarobot_drum.drum.tabular.column_hints import list_names, missing_columns_message, wrong_width_message

_SHOWN_CHARACTERS = 40


def find_positions(columns: Sequence[Any], names: Sequence[Any], optional: frozenset[Any] = frozenset()) -> list[int]:
    """Return the position of each of ``names`` among the unique ``columns``; absent optional ones are skipped.

    Raises:
        UnprocessableInput: some names are missing.
    """
    positions = {column: position for position, column in enumerate(columns)}
    if not all(name in positions for name in names):
        positions = {without_blanks(column): position for column, position in positions.items()} | positions
    if not all(name in positions or name in optional for name in names):
        required = [str(name) for name in names if name not in optional]
        raise UnprocessableInput(missing_columns_message(required, [str(name) for name in columns]))
    return [positions[name] for name in names if name in positions]


def require_width(data: Any, width: int | None) -> None:
    """Require ``width`` columns, unless it is None.

    Raises:
        UnprocessableInput: the number of columns differs.
    """
    if width is not None and data.shape[1] != width:
        names = getattr(data, "columns", getattr(data, "names", None))
        if names is None:
            raise UnprocessableInput(f"The samples have {data.shape[1]} columns; the model takes {width}.")
        raise UnprocessableInput(wrong_width_message(width, [str(name) for name in names]))


def require_single_column(names: Sequence[Any]) -> None:
    """Require one column, for a model that takes a Series.

    Raises:
        UnprocessableInput: there are more.
    """
    if len(names) != 1:
        raise UnprocessableInput(
            f"The model takes one column of texts, and the samples have {len(names)}: "
            f"{list_names([str(name) for name in names])}. Send only the texts, declare their column under inputSchema "
            "in model-metadata.yaml, or train the model with a ColumnTransformer."
        )


def require_numbers_only(schema: InputSchema) -> None:
    """Require that the model takes numbers, for samples that have nothing else.

    Raises:
        UnprocessableInput: some columns of the model have another type.
    """
    if schema.is_numeric:
        return
    others = [
        str(position + 1) if schema.names is None else schema.names[position]
        for position, column in enumerate(schema.resolve(schema.names or [""] * len(schema.columns)))
        if column.type not in (ColumnType.NUMBER, ColumnType.ANY)
    ]
    raise UnprocessableInput(
        f"The samples have numbers only, and these columns of the model are no numbers: {list_names(others)}. Send csv."
    )


def shown_cell(cell: Any) -> str:
    """Return a cell as messages show it."""
    text = repr(cell) if isinstance(cell, str) else str(cell)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
