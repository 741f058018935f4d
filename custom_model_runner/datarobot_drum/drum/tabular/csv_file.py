"""Read a csv file in blocks with the column types of the whole table."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from datarobot_drum.drum.tabular.column_types import ColumnTypes, InferredTypes
from datarobot_drum.drum.tabular.csv_reader import read_csv_blocks, read_csv_column, text_options
from datarobot_drum.drum.tabular.headerless import with_header
from datarobot_drum.drum.tabular.payload import BinaryFile, PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.table_files import BLOCK_BYTES, TableFile

if TYPE_CHECKING:
    import pandas as pd

_SAMPLE_BYTES = 1024 * 1024


class CsvFile(TableFile):
    """A csv file, read once for its types and once for its rows, unless it is a single block."""

    def blocks(self) -> Iterator[pd.DataFrame]:
        payload = with_header(StructuredPayload(self.file, PayloadFormat.CSV, self.charset, self.limits), self.text)
        rows = rows_per_block(self.file, self.rows)
        options = text_options(payload, self.text)
        inferred = InferredTypes(options)
        first: pd.DataFrame | None = None
        for number, block in enumerate(self._report_progress("reading types", read_csv_blocks(payload, rows, options))):
            inferred.add(block)
            first = block if number == 0 else None
        if first is not None:
            yield first
            return
        types: ColumnTypes = inferred.finalize(lambda position: read_csv_column(payload, position))
        for block in self._report_progress("scoring", read_csv_blocks(payload, rows, types.options)):
            yield types.restore(block)

    def _report_progress(self, stage: str, blocks: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        size = max(1, os.fstat(self.file.fileno()).st_size)
        for block in blocks:
            yield block
            self.on_progress(stage, min(1.0, self.file.tell() / size))


def rows_per_block(file: BinaryFile, limit: int) -> int:
    """Return the rows of a block, fewer for long rows, estimated from the start of the file."""
    file.seek(0)
    sample = file.read(_SAMPLE_BYTES)
    bytes_per_row = len(sample) / max(1, sample.count(b"\n"))
    return max(1, min(limit, int(BLOCK_BYTES / max(1, bytes_per_row))))
