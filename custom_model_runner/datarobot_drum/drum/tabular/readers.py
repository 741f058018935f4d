"""Read a payload with the reader of its format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.cancellation import stop_if_cancelled
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.tabular.payload import PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.table_limits import check_blocks, check_table
from datarobot_drum.drum.tabular.text_columns import TextColumns

if TYPE_CHECKING:
    import pandas as pd

_CSV = "datarobot_drum.drum.tabular.csv_reader"
_HEADERLESS = "datarobot_drum.drum.tabular.headerless:with_header"
_JSON = "datarobot_drum.drum.tabular.json_reader"
_ARROW = "datarobot_drum.drum.tabular.arrow_payloads"
_MTX = "datarobot_drum.drum.tabular.matrix_market_reader"
_READ_TABLE = {
    PayloadFormat.CSV: f"{_CSV}:read_csv",
    PayloadFormat.JSON: f"{_JSON}:read_json",
    PayloadFormat.JSON_LINES: f"{_JSON}:read_json",
    PayloadFormat.ARROW: f"{_ARROW}:read_arrow",
    PayloadFormat.PARQUET: f"{_ARROW}:read_arrow",
}
_READ_BLOCKS = {
    PayloadFormat.JSON: f"{_JSON}:read_json_blocks",
    PayloadFormat.JSON_LINES: f"{_JSON}:read_json_blocks",
    PayloadFormat.ARROW: f"{_ARROW}:read_arrow_blocks",
    PayloadFormat.PARQUET: f"{_ARROW}:read_arrow_blocks",
}
_NUMERIC_JSON = (PayloadFormat.JSON, PayloadFormat.JSON_LINES)


def read_table(payload: StructuredPayload, text: TextColumns | None = None) -> pd.DataFrame:
    """Read the samples into a DataFrame, with sparse columns for a Matrix Market file.

    Args:
        text: the columns of the model, some of which are read as text, as they are written; None if not known.

    Raises:
        UnprocessableInput: the payload is unreadable, empty, or without data rows.
        PayloadTooLarge, UnsupportedMediaType: of Arrow and Parquet.
    """
    if payload.format is PayloadFormat.MTX:
        return import_from_string(f"{_MTX}:read_sparse_frame")(payload)
    payload = _with_header(payload, text)
    return _checked(import_from_string(_READ_TABLE[payload.format])(payload, text), payload)


def read_numeric_or_frame(payload: StructuredPayload, text: TextColumns | None = None) -> Any:
    """Read plain numbers into a ``NumericTable``, anything else as ``read_table``.

    Args:
        text: as for ``read_table``; no column of a csv is read as text.

    Raises:
        UnprocessableInput: as ``read_table``.
    """
    if payload.format in _NUMERIC_JSON:
        return _checked(import_from_string(f"{_JSON}:read_numeric_json")(payload, text), payload)
    if payload.format is PayloadFormat.MTX:
        return read_table(payload)
    if payload.format is PayloadFormat.CSV:
        payload = _with_header(payload, text)
        numbers = import_from_string("datarobot_drum.drum.tabular.fast_csv:read_numeric_csv")(payload)
        if numbers is not None:
            return _checked(numbers.to_frame() if numbers.has_missing else numbers, payload)
        # Not `read_table`, which would try the fast readers again.
        table = _checked(import_from_string(f"{_CSV}:read_csv_with_pandas")(payload), payload)
    else:
        table = read_table(payload, text)
    numbers = import_from_string("datarobot_drum.drum.tabular.numeric_table:NumericTable.from_frame")(table)
    return table if numbers is None else numbers


def read_matrix(payload: StructuredPayload) -> Any:
    """Read a Matrix Market file into a ``scipy.sparse`` CSR matrix, which has no cost per column.

    Raises:
        UnprocessableInput: as ``read_table``.
    """
    return import_from_string(f"{_MTX}:read_csr")(payload)


def read_blocks(payload: StructuredPayload, rows: int, text: TextColumns | None = None) -> Iterator[pd.DataFrame]:
    """Yield the samples in blocks of at most ``rows`` rows; Matrix Market and JSON other than lines are read whole.

    Args:
        text: as for ``read_table``.

    Raises:
        UnprocessableInput: as ``read_table``, at the invalid block.
        RequestCancelled: no client waits for the next block.
    """
    for block in _read_blocks(payload, rows, text):
        yield block
        stop_if_cancelled()


def _read_blocks(payload: StructuredPayload, rows: int, text: TextColumns | None) -> Iterator[pd.DataFrame]:
    if payload.format is PayloadFormat.CSV:
        payload = _with_header(payload, text)
        options = import_from_string(f"{_CSV}:text_options")(payload, text)
        blocks = import_from_string(f"{_CSV}:read_csv_blocks")(payload, rows, options)
        yield from check_blocks(blocks, payload)
        return
    if payload.format in _READ_BLOCKS:
        yield from check_blocks(import_from_string(_READ_BLOCKS[payload.format])(payload, rows, text), payload)
        return
    table = read_table(payload)
    for start in range(0, len(table), rows):
        yield table.iloc[start : start + rows]


def _with_header(payload: StructuredPayload, columns: TextColumns | None) -> StructuredPayload:
    completed: StructuredPayload = import_from_string(_HEADERLESS)(payload, columns)
    return completed


def _checked(table: Any, payload: StructuredPayload) -> Any:
    check_table(table, payload)
    return table
