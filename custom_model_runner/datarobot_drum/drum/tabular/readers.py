"""From a payload to samples, by its format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.tabular.payload import PayloadFormat, StructuredPayload

if TYPE_CHECKING:
    import pandas as pd

_READERS = {
    PayloadFormat.CSV: "datarobot_drum.drum.tabular.csv_reader:read_csv",
    PayloadFormat.MTX: "datarobot_drum.drum.tabular.matrix_market_reader:read_sparse_frame",
}


def read_table(payload: StructuredPayload) -> pd.DataFrame:
    """The samples as a DataFrame; those of a Matrix Market file are columns of sparse type.

    Raises:
        UnprocessableInput: unreadable, empty, or without data rows.
    """
    return import_from_string(_READERS[payload.format])(payload)


def read_numeric_or_frame(payload: StructuredPayload) -> Any:
    """A ``NumericTable`` if every cell of a csv is plainly a number, else as ``read_table``.

    Raises:
        UnprocessableInput: as ``read_table``.
    """
    if payload.format is not PayloadFormat.CSV:
        return read_table(payload)
    numbers = import_from_string("datarobot_drum.drum.tabular.fast_csv:read_numeric_csv")(payload)
    if numbers is not None:
        return numbers.to_frame() if numbers.has_missing else numbers
    # Not `read_table`, which would look for plain numbers once more.
    table = import_from_string("datarobot_drum.drum.tabular.csv_reader:read_csv_with_pandas")(payload)
    numbers = import_from_string("datarobot_drum.drum.tabular.numeric_table:NumericTable.from_frame")(table)
    return table if numbers is None else numbers


def read_matrix(payload: StructuredPayload) -> Any:
    """The samples of a Matrix Market file as a ``scipy.sparse`` CSR matrix: no cost per column, unlike a frame.

    Raises:
        UnprocessableInput: as ``read_table``.
    """
    return import_from_string("datarobot_drum.drum.tabular.matrix_market_reader:read_csr")(payload)


def read_blocks(payload: StructuredPayload, rows: int) -> Iterator[pd.DataFrame]:
    """The samples in blocks of at most ``rows`` rows; a Matrix Market file is read as a whole and cut.

    Raises:
        UnprocessableInput: as ``read_table``, when the block with the fault is reached.
    """
    if payload.format is PayloadFormat.CSV:
        yield from import_from_string("datarobot_drum.drum.tabular.csv_reader:read_csv_blocks")(payload, rows)
        return
    table = read_table(payload)
    for start in range(0, len(table), rows):
        yield table.iloc[start : start + rows]
