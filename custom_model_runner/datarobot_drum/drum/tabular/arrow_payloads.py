"""Read Arrow and Parquet bodies, which are untrusted: their types and sizes are checked before they become frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import pandas as pd
import pyarrow as pa

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.tabular.arrow_files import ArrowTable, ParquetTable
from datarobot_drum.drum.tabular.payload import PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.table_files import BLOCK_ROWS
from datarobot_drum.drum.tabular.table_limits import check_lines, check_width
from datarobot_drum.drum.tabular.text_columns import TextColumns
from datarobot_drum.drum.tabular.typed_frames import read_number_texts

_READERS = {PayloadFormat.ARROW: ArrowTable, PayloadFormat.PARQUET: ParquetTable}


def read_arrow(payload: StructuredPayload, schema: TextColumns | None = None) -> pd.DataFrame:
    """Read an Arrow or Parquet payload into a frame.

    Raises:
        UnprocessableInput: it cannot be read, or is over a limit.
        PayloadTooLarge: it is too large when decoded.
    """
    blocks = list(_limited_blocks(payload, BLOCK_ROWS, schema))
    return blocks[0] if len(blocks) == 1 else pd.concat(blocks, ignore_index=True)


def read_arrow_blocks(
    payload: StructuredPayload, rows: int, schema: TextColumns | None = None
) -> Iterator[pd.DataFrame]:
    """Yield the rows of an Arrow or Parquet payload, each record batch in blocks of at most ``rows``.

    Raises:
        UnprocessableInput, PayloadTooLarge: as ``read_arrow``, at the invalid block.
    """
    for block in _limited_blocks(payload, rows, schema):
        yield block.reset_index(drop=True)


def _limited_blocks(payload: StructuredPayload, rows: int, schema: TextColumns | None) -> Iterator[pd.DataFrame]:
    file = cast("BinaryIO", payload.file)
    table = _READERS[payload.format](file, payload.charset, _ignore_progress, rows, schema, payload.limits)
    arrow_schema, total = table.read_schema()
    check_width(len(arrow_schema), payload.limits)
    check_lines(total or 0, payload.limits.max_rows)
    _check_types(arrow_schema, schema)
    found = 0
    for block in table.blocks():
        found += len(block)
        check_lines(found, payload.limits.max_rows)
        yield read_number_texts(block, schema)


def _check_types(arrow_schema: pa.Schema, schema: TextColumns | None) -> None:
    """Reject types that are no cells of a table, and lists in columns whose type is known."""
    names = list(arrow_schema.names)
    if not names:
        raise UnprocessableInput("The table has no columns.")
    typed = set() if schema is None else {*schema.text_columns(names), *schema.number_columns(names)}
    for position, field in enumerate(arrow_schema):
        is_list = _is_list(field.type)
        if not (_is_value(field.type) or (is_list and position not in typed and _is_value(field.type.value_type))):
            reason = "the model takes one value in each cell" if is_list else "it is no type of a table's cells"
            raise UnprocessableInput(
                f"The column {str(field.name)[:100]!r} has the type {str(field.type)[:100]}: {reason}."
            )


def _is_list(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_list(dtype) or pa.types.is_large_list(dtype))


def _is_value(dtype: Any) -> bool:
    types = pa.types
    if types.is_dictionary(dtype):
        return _is_value(dtype.value_type) and not types.is_dictionary(dtype.value_type)
    is_nested = types.is_nested(dtype) or types.is_run_end_encoded(dtype)
    return not is_nested and not isinstance(dtype, pa.BaseExtensionType)


def _ignore_progress(stage: str, done: float) -> None:
    """Report nothing: requests have no progress."""
