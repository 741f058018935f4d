"""Build a frame from cells that have types of their own, such as those of JSON.

The schema decides where it has a type: a text column has the text that a csv would show, and a text in a column of
numbers is read as ``pandas.read_csv`` reads it. All other columns keep the types of their cells, so a text stays text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.tabular.csv_reader import csv_errors
from datarobot_drum.drum.tabular.exact_floats import EXACT_FLOATS
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.text_columns import TextColumns, text_type

Cells = Sequence[Any]

_NONE = type(None)
_CONTAINERS = frozenset({list, dict})
_NO_VALUES = _CONTAINERS | {tuple, bytes, np.ndarray}


def to_typed_frame(names: Sequence[str], columns: Sequence[Cells], schema: TextColumns | None = None) -> pd.DataFrame:
    """Return a frame of cells that are None, bool, int, float, text or lists.

    Raises:
        UnprocessableInput: a cell is an object, or a list in a column whose type is known.
    """
    text = set(schema.text_columns(names)) if schema is not None else set()
    numbers = set(schema.number_columns(names)) if schema is not None else set()
    found: dict[int, Any] = {}
    for position, cells in enumerate(columns):
        kinds = set(map(type, cells))
        if kinds & _CONTAINERS:
            _check_containers(names[position], kinds, is_typed=position in text or position in numbers)
        if position in text:
            found[position] = _to_text(cells)
        elif position in numbers and str in kinds:
            found[position] = read_cells(cells)
        else:
            found[position] = _to_series(cells, kinds, names[position])
    return pd.DataFrame(found, copy=False).set_axis(pd.Index(names), axis=1)


def read_cells(cells: Cells) -> pd.Series[Any]:
    """Read the cells of one column as ``pandas.read_csv`` reads them in a csv."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["cells"])
    writer.writerows([cell if isinstance(cell, str) else cell_text(cell)] for cell in cells)
    if "\0" in text.getvalue():  # pandas ends the cell there
        return _with_nan(cells)
    text.seek(0)
    with csv_errors():
        frame = pd.read_csv(text, low_memory=False, skip_blank_lines=False, **EXACT_FLOATS)
    return frame["cells"]


def cell_text(cell: Any) -> str:
    """Return the text of a cell in a csv: a whole number has no fraction, a missing cell no text."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2.0**53:
        return str(int(cell))
    return str(cell)


def read_number_texts(frame: pd.DataFrame, schema: TextColumns | None) -> pd.DataFrame:
    """Return a frame whose texts in columns of numbers are read as in a csv; the same frame if there are none."""
    for position in schema.number_columns([str(name) for name in frame.columns]) if schema is not None else ():
        series = frame.iloc[:, position]
        if pd.api.types.infer_dtype(series, skipna=True) in ("string", "mixed"):
            cells = [None if is_missing else cell for cell, is_missing in zip(series, series.isna(), strict=True)]
            if {str, _NONE}.issuperset(map(type, cells)):
                frame = frame.copy(deep=False)
                frame.isetitem(position, read_cells(cells))
    return frame


def require_values(frame: pd.DataFrame) -> None:
    """Reject lists, objects and bytes as cells, for a model that takes values.

    Raises:
        UnprocessableInput: there are some; the message names their column.
    """
    for name, column in frame.items():
        if column.dtype == object and not _NO_VALUES.isdisjoint(map(type, column)):
            raise UnprocessableInput(
                f"The column {str(name)[:100]!r} holds lists or bytes: the model takes one value in each cell."
            )


def _check_containers(name: str, kinds: set[type], *, is_typed: bool) -> None:
    if dict in kinds:
        raise UnprocessableInput(f"The column {name[:100]!r} holds objects: a cell is a value, or a list of values.")
    if is_typed:
        raise UnprocessableInput(f"The column {name[:100]!r} holds lists: the model takes one value in each cell.")


def _to_text(cells: Cells) -> pd.Series[Any]:
    texts = [cell if isinstance(cell, str) else np.nan if cell is None else cell_text(cell) for cell in cells]
    return pd.Series(texts, dtype=text_type())


def _to_series(cells: Cells, kinds: set[type], name: str) -> pd.Series[Any]:
    """Return the cells with the type that ``pandas.read_csv`` gives a column of such cells."""
    known = kinds - {_NONE}
    if known == {str}:
        return pd.Series(_fill(cells), dtype=text_type())
    if kinds == {int}:
        return pd.Series(cells)
    if kinds == {bool}:
        return pd.Series(cells, dtype=bool)
    if known <= {int, float}:
        return pd.Series(_to_floats(cells, name))
    return _with_nan(cells)


def _to_floats(cells: Cells, name: str) -> np.ndarray:
    try:
        return np.array(_fill(cells), dtype=np.float64)
    except OverflowError as error:
        raise UnprocessableInput(f"The column {name[:100]!r} holds a number that is too large.") from error


def _with_nan(cells: Cells) -> pd.Series[Any]:
    objects = np.empty(len(cells), dtype=object)
    for position, cell in enumerate(cells):  # not all at once: NumPy would make columns of lists
        objects[position] = np.nan if cell is None else cell
    return pd.Series(objects, dtype=object)


def _fill(cells: Cells) -> list[Any]:
    return [np.nan if cell is None else cell for cell in cells]
