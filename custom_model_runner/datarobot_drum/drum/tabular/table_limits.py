"""The limits of a table: columns, rows and the text of a cell."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.settings.limits import InputLimits
from datarobot_drum.drum.tabular.payload import ARROW_FORMATS, BinaryFile, StructuredPayload

if TYPE_CHECKING:
    import pandas as pd

MAX_DENSE_CELLS = 100_000_000
CELLS_PER_ENTRY = 1000


def check_width(columns: int, limits: InputLimits) -> None:
    """Reject a table with more columns than the limit.

    Raises:
        UnprocessableInput: it has.
    """
    if limits.max_columns and columns > limits.max_columns:
        raise UnprocessableInput(f"The table has more than {limits.max_columns} columns (DRUM_MAX_COLUMNS).")


def check_lines(rows: int, limit: int) -> None:
    """Reject a table with more rows than the limit; 0 for no limit.

    Raises:
        UnprocessableInput: it has.
    """
    if limit and rows > limit:
        raise UnprocessableInput(f"The table has more than {limit} rows (DRUM_MAX_ROWS).")


def check_table(table: Any, payload: StructuredPayload) -> None:
    """Reject a table with too many rows or columns, or a too large cell.

    Args:
        table: a frame or a table with a ``shape``.
        payload: the file that it came from.

    Raises:
        UnprocessableInput: it is over a limit.
    """
    limits = payload.limits
    rows, columns = table.shape
    check_lines(rows, limits.max_rows)
    check_width(columns, limits)
    if limits.max_cell_size and hasattr(table, "dtypes") and _may_have_long_cells(payload):
        check_cells(table, limits)


def _may_have_long_cells(payload: StructuredPayload) -> bool:
    is_compressed = payload.format in ARROW_FORMATS
    return is_compressed or file_size(payload.file) > payload.limits.max_cell_size


def check_blocks(blocks: Iterator[pd.DataFrame], payload: StructuredPayload) -> Iterator[pd.DataFrame]:
    """Yield the blocks of a table; raises as ``check_table``, of all rows up to the block."""
    rows = 0
    for block in blocks:
        rows += len(block)
        check_lines(rows, payload.limits.max_rows)
        check_table(block, payload)
        yield block


def check_density(cells: int, entries: int) -> None:
    """Reject a sparse table that is about to become a dense array of little else than zeros.

    Raises:
        UnprocessableInput: it has more than 100 million cells and a thousand cells for each entry.
    """
    if cells > MAX_DENSE_CELLS and cells > CELLS_PER_ENTRY * entries:
        raise UnprocessableInput(
            f"The model takes dense arrays, and the table of {cells} cells has {entries} entries only: send fewer rows."
        )


def file_size(file: BinaryFile) -> int:
    """Return the size of a file; its position stays the same."""
    position = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(position)
    return size


def check_cells(table: pd.DataFrame, limits: InputLimits) -> None:
    """Reject a table with a too large cell of text.

    Raises:
        UnprocessableInput: it has one.
    """
    limit = limits.max_cell_size
    for name, column in table.items():
        if limit and column.dtype.kind == "O" and _longest_text(column) > limit:
            raise UnprocessableInput(
                f"A cell of the column {str(name)[:100]!r} has more than {limit} characters (DRUM_MAX_CELL_SIZE)."
            )


def _longest_text(column: pd.Series) -> int:
    if column.dtype == object:
        return max((len(cell) for cell in column if isinstance(cell, str)), default=0)
    longest = column.str.len().max()
    return int(longest) if longest == longest else 0  # NaN if every cell is missing
