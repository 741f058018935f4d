"""Select the columns of a model from a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.input_schema.columns import without_blanks

MAX_LISTED_COLUMNS = 10


def find_positions(columns: Sequence[Any], names: Sequence[Any], optional: frozenset[Any] = frozenset()) -> list[int]:
    """Return the position of each of ``names`` among the unique ``columns``; absent optional ones are skipped.

    Raises:
        UnprocessableInput: some names are missing.
    """
    positions = {column: position for position, column in enumerate(columns)}
    if not all(name in positions for name in names):
        positions = {without_blanks(column): position for column, position in positions.items()} | positions
    missing = [str(name) for name in names if name not in positions and name not in optional]
    if missing:
        raise UnprocessableInput(
            f"The samples lack {len(missing)} of the {len(names)} columns of the model: {list_names(missing)}."
        )
    return [positions[name] for name in names if name in positions]


def require_width(data: Any, width: int | None) -> None:
    """Require ``width`` columns, unless it is None.

    Raises:
        UnprocessableInput: the number of columns differs.
    """
    if width is not None and data.shape[1] != width:
        raise UnprocessableInput(f"The samples have {data.shape[1]} columns; the model takes {width}.")


def list_names(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_LISTED_COLUMNS]) + (", ..." if len(names) > MAX_LISTED_COLUMNS else "")
