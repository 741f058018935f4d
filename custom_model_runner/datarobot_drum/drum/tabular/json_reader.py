"""Read JSON and JSON lines into tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from datarobot_drum.drum.exceptions import EmptyTable, UnprocessableInput
from datarobot_drum.drum.tabular.decoded_text import find_codec
from datarobot_drum.drum.tabular.json_tables import JsonTable, find_table, records_to_table
from datarobot_drum.drum.tabular.json_text import is_json_lines, parse_json, parse_json_lines
from datarobot_drum.drum.tabular.numeric_table import NumericTable
from datarobot_drum.drum.tabular.payload import PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.text_columns import TextColumns

if TYPE_CHECKING:
    import pandas as pd

_UTF_8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_BOM = b"\xef\xbb\xbf"
_NUMBERS = frozenset({int, float})


def read_json(payload: StructuredPayload, schema: TextColumns | None = None) -> pd.DataFrame:
    """Read a JSON payload into a frame.

    Raises:
        UnprocessableInput: it is invalid, no table, or over a limit.
    """
    return _find(payload, schema).to_frame(schema)


def read_numeric_json(payload: StructuredPayload, schema: TextColumns | None = None) -> NumericTable | pd.DataFrame:
    """Read a JSON payload of plain numbers into a ``NumericTable``, any other into a frame.

    Raises:
        UnprocessableInput: as ``read_json``.
    """
    table = _find(payload, schema)
    numbers = None
    if all(_NUMBERS.issuperset(map(type, row)) for row in table.rows):
        numbers = NumericTable.from_rows(table.rows, table.names)
    return table.to_frame(schema) if numbers is None else numbers


def read_json_blocks(
    payload: StructuredPayload, rows: int, schema: TextColumns | None = None
) -> Iterator[pd.DataFrame]:
    """Yield the rows of JSON lines in blocks, so memory stays flat; another JSON payload is read whole.

    Raises:
        UnprocessableInput: as ``read_json``, at the invalid block.
    """
    if payload.format is not PayloadFormat.JSON_LINES:
        table = read_json(payload, schema)
        for start in range(0, len(table), rows):
            yield table.iloc[start : start + rows].reset_index(drop=True)
        return
    names: tuple[str, ...] = ()
    for block in _line_blocks(payload, rows):
        table_of_block = records_to_table(parse_json_lines(block, payload.limits), schema, payload.limits, names)
        names = table_of_block.names
        yield table_of_block.to_frame(schema)
    if not names:
        raise EmptyTable("The JSON has no rows.", ())


def _line_blocks(payload: StructuredPayload, rows: int) -> Iterator[bytes]:
    """Yield up to ``rows`` lines at a time, without empty lines."""
    if payload.charset.lower() not in _UTF_8:
        lines = iter(_read_text(payload).splitlines(keepends=True))
    else:
        payload.file.seek(0)
        lines = iter(payload.file.readline, b"")
    block: list[bytes] = []
    for number, line in enumerate(lines):
        line = line.removeprefix(_BOM) if number == 0 else line
        if line.strip():
            block.append(line if line.endswith(b"\n") else line + b"\n")
        if len(block) == rows:
            yield b"".join(block)
            block = []
    if block:
        yield b"".join(block)


def _find(payload: StructuredPayload, schema: TextColumns | None) -> JsonTable:
    body = _read_text(payload)
    if payload.format is PayloadFormat.JSON_LINES or is_json_lines(body):
        return records_to_table(parse_json_lines(body, payload.limits), schema, payload.limits)
    return find_table(parse_json(body, payload.limits), schema, payload.limits)


def _read_text(payload: StructuredPayload) -> bytes:
    """Return the text in UTF-8, without a byte order mark."""
    body = payload.read_bytes()
    if payload.charset.lower() not in _UTF_8:
        try:
            body = find_codec(payload.charset).decode(body, "strict")[0].encode()
        except UnicodeError as error:
            raise UnprocessableInput(f"The JSON is not text in {payload.charset[:40]}.") from error
    return body.removeprefix(_BOM)
