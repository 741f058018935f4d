"""Parts of Parquet and Arrow files: ranges of rows, and of record batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pandas as pd

from datarobot_drum.drum.tabular.arrow_files import ArrowTable, BatchTable, ParquetTable
from datarobot_drum.drum.tabular.parts import FilePlan, PartReader, PartScan, TablePart, cut
from datarobot_drum.drum.tabular.table_files import FileFormat

if TYPE_CHECKING:
    from typing import BinaryIO


class _BatchParts(PartReader):
    table_type: type[BatchTable]
    format: FileFormat

    def plan(self, source: int) -> FilePlan:
        table = self._table()
        schema, _ = table.read_schema()
        starts = table.units()
        return FilePlan(tuple(schema.names), cut(source, starts), len(starts), self.format)

    def scan(self, part: TablePart) -> PartScan:
        missing, categories = self._table().scan_columns(part.start, part.stop)
        return PartScan(missing=missing, categories=categories)

    def blocks(self, part: TablePart, types: PartScan | None) -> Iterator[pd.DataFrame]:
        known = self.scan(part) if types is None else types
        row = part.first_row
        for frame in self._table().read_part(part.start, part.stop, known.missing, known.categories):
            frame.index = pd.RangeIndex(row, row + len(frame))
            row += len(frame)
            yield frame

    def _table(self) -> BatchTable:
        file = cast("BinaryIO", self.file)
        return self.table_type(file, self.charset, lambda *_: None, self.rows, self.text, self.limits)


class ParquetParts(_BatchParts):
    table_type = ParquetTable
    format = FileFormat.PARQUET


class ArrowParts(_BatchParts):
    table_type = ArrowTable
    format = FileFormat.ARROW
