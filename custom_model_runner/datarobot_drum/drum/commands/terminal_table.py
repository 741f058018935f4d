"""Tables on standard output: in colour by rich on a terminal, else as plain text in columns."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.settings.environment import allows_colour

STYLES = {
    "PASSED": "green",
    "FAILED": "bold red",
    "SKIPPED": "yellow",
    "faster": "green",
    "slower": "red",
    "within the spread": "dim",
}
"""The style of a cell by its text."""


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, is_numeric: bool = True) -> None:
    """Print a table whose cells are numbers, or text."""
    cells = [list(row) for row in rows]
    if sys.stdout.isatty() and uses_rich():
        _print_rich(header, cells, is_numeric=is_numeric)
    else:
        sys.stdout.write(plain_table(header, cells, is_numeric=is_numeric))


def plain_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, is_numeric: bool = True) -> str:
    """Return lines in columns; numbers are aligned to the right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    align = str.rjust if is_numeric else str.ljust
    return "".join("  ".join(map(align, line, widths)).rstrip() + "\n" for line in lines)


def uses_rich() -> bool:
    """Return True if colours are wanted, and the extra is installed."""
    return allows_colour() and find_spec("rich") is not None


def _print_rich(header: Sequence[str], rows: Sequence[Sequence[str]], *, is_numeric: bool) -> None:
    make_text: Any = import_from_string("rich.text:Text")
    table: Any = import_from_string("rich.table:Table")(box=import_from_string("rich.box:SIMPLE_HEAD"), pad_edge=False)
    for name in header:
        table.add_column(name, justify="right" if is_numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(make_text(cell, style=_style(cell, STYLES)) for cell in row))
    import_from_string("rich.console:Console")(file=sys.stdout, highlight=False).print(table)


def _style(cell: str, styles: Mapping[str, str]) -> str:
    return styles.get(cell, "")
