"""Read csv by the rules of ``pandas.read_csv``, but reject rows that pandas would silently shift."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from datarobot_drum.drum.exceptions import EmptyTable, UnprocessableInput
from datarobot_drum.drum.tabular.content_detection import explain_unreadable
from datarobot_drum.drum.tabular.csv_text import open_csv_text
from datarobot_drum.drum.tabular.exact_floats import EXACT_FLOATS
from datarobot_drum.drum.tabular.fast_csv import read_header, read_numeric_csv
from datarobot_drum.drum.tabular.headerless import PrefixedFile
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.payload import StructuredPayload
from datarobot_drum.drum.tabular.text_columns import TextColumns, csv_options

_LINE = re.compile(r"(?<=\bin line )[0-9]+")


def read_csv(payload: StructuredPayload, text: TextColumns | None = None) -> pd.DataFrame:
    """Read a csv payload into a table.

    ``text`` are the columns that are read as text. The others follow the defaults of pandas: missing values, types,
    ``a.1`` for a second column ``a``, ``Unnamed: 0`` for one without a name, empty lines skipped, missing fields at the
    end of a row read as missing values.

    Raises:
        UnprocessableInput: the payload is no such table.
    """
    numbers = None if text is not None and text.has_text else read_numeric_csv(payload)
    return read_csv_with_pandas(payload, text) if numbers is None else numbers.to_frame()


def read_csv_with_pandas(payload: StructuredPayload, text_columns: TextColumns | None = None) -> pd.DataFrame:
    """Read a csv payload with pandas only."""
    try:
        return _read_with_pandas(payload, text_columns)
    except UnprocessableInput as error:
        raise _explained(payload, error) from error


def _read_with_pandas(payload: StructuredPayload, text_columns: TextColumns | None) -> pd.DataFrame:
    options = text_options(payload, text_columns)
    payload.file.seek(0)
    text = open_csv_text(payload)
    with csv_errors():
        # low_memory infers types block by block and warns about differences.
        frame = pd.read_csv(text, low_memory=False, compression=None, **EXACT_FLOATS, **options)
    if frame.empty:
        raise _no_rows(frame)
    if not (text.has_fitting_row or _is_first_row_within_header(text.head)):
        _reject_wide_first_row(payload)
    return frame


def read_csv_blocks(
    payload: StructuredPayload, rows: int, options: Mapping[str, Any] | None = None
) -> Iterator[pd.DataFrame]:
    """Yield the table in blocks of ``rows`` rows, so memory stays flat.

    Types are inferred block by block, unless ``options`` of ``pandas.read_csv`` set them.

    Raises:
        UnprocessableInput: as ``read_csv``, at the invalid block.
    """
    try:
        yield from _read_blocks(payload, rows, options)
    except UnprocessableInput as error:
        raise _explained(payload, error) from error


def _read_blocks(payload: StructuredPayload, rows: int, options: Mapping[str, Any] | None) -> Iterator[pd.DataFrame]:
    payload.file.seek(0)
    text = open_csv_text(payload)
    with csv_errors():
        blocks = pd.read_csv(
            text, low_memory=False, compression=None, chunksize=rows, **EXACT_FLOATS, **(options or {})
        )
    with blocks:
        first = _next_block(blocks)
        if first is None or first.empty:
            raise _no_rows(first)
        if not (text.has_fitting_row or _is_first_row_within_header(text.head)):
            _reject_wide_first_row(payload, back_to=payload.file.tell())
        block: pd.DataFrame | None = first
        while block is not None:
            yield block
            block = _next_block(blocks)


def text_options(payload: StructuredPayload, text: TextColumns | None) -> Mapping[str, Any]:
    """Return the options of ``pandas.read_csv`` that read the text columns of this csv as text.

    Raises:
        UnprocessableInput: the header cannot be read.
    """
    if text is None or not text.has_text:
        return {}
    columns = _read_columns(payload)
    return csv_options(columns, text.text_columns(columns))


def _read_columns(payload: StructuredPayload) -> Sequence[str]:
    """Return the column names that pandas makes of the header."""
    names = read_header(payload)
    if names is not None:
        return names
    payload.file.seek(0)
    with csv_errors():
        header = pd.read_csv(open_csv_text(payload), nrows=0, compression=None)
    return [str(name) for name in header.columns]


def _explained(payload: StructuredPayload, error: UnprocessableInput) -> UnprocessableInput:
    message = explain_unreadable(payload, error.message)
    if isinstance(payload.file, PrefixedFile):  # pandas has counted the header that we added
        message = _LINE.sub(lambda line: str(int(line[0]) - 1), message)
    return EmptyTable(message, error.columns) if isinstance(error, EmptyTable) else UnprocessableInput(message)


def _no_rows(frame: pd.DataFrame | None) -> UnprocessableInput:
    """Return the error of a csv with a header alone. A lone line of JSON is no header."""
    message = "The csv has a header but no data rows."
    columns = [] if frame is None else [str(name) for name in frame.columns]
    is_header = bool(columns) and not columns[0].lstrip().startswith(("{", "["))
    return EmptyTable(message, columns) if is_header else UnprocessableInput(message)


def read_csv_column(payload: StructuredPayload, position: int) -> pd.Series:
    """Read one whole column, with the type that it has in the whole table."""
    payload.file.seek(0)
    text = open_csv_text(payload)
    with csv_errors():
        frame = pd.read_csv(text, usecols=[position], low_memory=False, compression=None, **EXACT_FLOATS)
    return frame.iloc[:, 0]


def read_csv_texts(payload: StructuredPayload, position: int) -> list[str]:
    """Return the cells of one whole column as they are written."""
    payload.file.seek(0)
    text = open_csv_text(payload)
    with csv_errors():
        frame = pd.read_csv(
            text, usecols=[position], dtype=str, keep_default_na=False, low_memory=False, compression=None
        )
    return list(map(str, frame.iloc[:, 0]))


def _next_block(blocks: Iterator[pd.DataFrame]) -> pd.DataFrame | None:
    with csv_errors():
        return next(blocks, None)


@contextmanager
def csv_errors() -> Iterator[None]:
    """Raise the errors of pandas for invalid content as ``UnprocessableInput``."""
    try:
        yield
    except pd.errors.EmptyDataError as error:
        raise UnprocessableInput("The csv is empty: it needs a header and data rows.") from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        cause = str(error).replace("Error tokenizing data. C error: ", "").strip().rstrip(".")
        raise UnprocessableInput(f"The csv could not be read: {cause}.") from error


def _is_first_row_within_header(head: str) -> bool:
    """Return True if the first row has no more fields than the header; False if only the parser can decide.

    Counting commas decides for plain lines, which saves nearly every request a second parse.
    """
    header, _, rest = head.partition("\n")
    row, end, _ = rest.partition("\n")
    is_plain = all(line.strip() and '"' not in line for line in (header, row))
    return bool(end) and is_plain and row.count(",") <= header.count(",")


def _reject_wide_first_row(payload: StructuredPayload, back_to: int = 0) -> None:
    """Reject a first data row with more fields than the header.

    pandas reads surplus fields of the first row as row labels and shifts every column; it rejects any other such row.
    Without a header the row is the second one, which pandas rejects.
    """
    payload.file.seek(0)
    text = open_csv_text(payload)
    with csv_errors():
        pd.read_csv(text, header=None, nrows=2, dtype=str, low_memory=False, compression=None)
    payload.file.seek(back_to)
