"""Select the columns of a model from a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.input_schema.columns import without_blanks
from datarobot_drum.drum.tabular.column_hints import missing_columns_message, wrong_width_message


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
