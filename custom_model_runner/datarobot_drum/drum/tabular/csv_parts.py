"""Parts of csv files: ranges of bytes between records."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from datarobot_drum.drum.exceptions import EmptyTable
from datarobot_drum.drum.tabular.column_types import ColumnTypes, InferredTypes
from datarobot_drum.drum.tabular.csv_file import rows_per_block
from datarobot_drum.drum.tabular.csv_reader import read_csv_blocks, read_csv_texts, text_options
from datarobot_drum.drum.tabular.csv_records import RecordIndex, index_records
from datarobot_drum.drum.tabular.decoded_text import find_codec
from datarobot_drum.drum.tabular.headerless import PrefixedFile, with_header
from datarobot_drum.drum.tabular.parts import UNKNOWN, FilePlan, PartReader, PartScan, TablePart, cut
from datarobot_drum.drum.tabular.payload import BinaryFile, PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.table_files import FileFormat

if TYPE_CHECKING:
    import pandas as pd

_ASCII_CHARSETS = frozenset({"utf-8-sig", "ascii", "iso8859-1", "iso8859-15", "cp1252", "cp1250", "cp1251"})
"""Charsets whose line ends, commas and quotes are those of ASCII, and no part of another character."""


class CsvParts(PartReader):
    """A csv file. Each part is read with the header of the file."""

    def plan(self, source: int) -> FilePlan:
        payload = self._payload()
        try:
            columns = tuple(map(str, next(read_csv_blocks(payload, 1)).columns))
        except EmptyTable as empty:
            return FilePlan(empty.columns, (), 0, FileFormat.CSV)
        rows = rows_per_block(payload.file, self.rows)
        index = self._index(payload.file, rows)
        if index is None:
            return FilePlan(columns, (TablePart(source, 0, None, 0),), UNKNOWN, FileFormat.CSV)
        starts = [(place, number * rows) for number, place in enumerate(index.starts)]
        parts = tuple(replace(part, header=index.header_end) for part in cut(source, starts))
        return FilePlan(columns, parts, len(index.starts), FileFormat.CSV)

    def scan(self, part: TablePart) -> PartScan:
        payload, rows = self._part(part)
        options = text_options(payload, self.text)
        inferred = InferredTypes(options)
        for block in read_csv_blocks(payload, rows, options):
            inferred.add(block)
        return PartScan(kinds=inferred.kinds, options=options)

    def blocks(self, part: TablePart, types: ColumnTypes | None) -> Iterator[pd.DataFrame]:
        payload, rows = self._part(part)
        options = text_options(payload, self.text) if types is None else types.options
        row = part.first_row
        for block in read_csv_blocks(payload, rows, options):
            restored = block if types is None else types.restore(block)
            restored.index = _range_index(restored, row)
            row += len(restored)
            yield restored

    def column_texts(self, position: int) -> list[str]:
        """Return the cells of a whole column as they are written."""
        return read_csv_texts(self._payload(), position)

    def _index(self, file: BinaryFile, rows: int) -> RecordIndex | None:
        return index_records(file, rows) if find_codec(self.charset).name in _ASCII_CHARSETS else None

    def _payload(self) -> StructuredPayload:
        payload = StructuredPayload(self.file, PayloadFormat.CSV, self.charset, self.limits, has_header=self.has_header)
        return with_header(payload, self.text)

    def _part(self, part: TablePart) -> tuple[StructuredPayload, int]:
        """Return the part as a csv of its own, and the rows of a block."""
        payload = self._payload()
        rows = rows_per_block(payload.file, self.rows)
        if part.header:
            payload.file.seek(0)
            header = payload.file.read(part.header)
            own = FileRange(payload.file, part.start, part.stop)
            payload = replace(payload, file=PrefixedFile(header, own), has_header=True)
        return payload, rows


def _range_index(block: pd.DataFrame, start: int) -> pd.RangeIndex:
    import pandas as pd

    return pd.RangeIndex(start, start + len(block))


class FileRange:
    """The bytes of a file from ``start`` to ``stop``, as a file."""

    def __init__(self, file: BinaryFile, start: int, stop: int | None) -> None:
        self._file = file
        self._start = start
        self._stop = file.seek(0, io.SEEK_END) if stop is None else stop
        self.seek(0)

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(self._limited(size))

    def readline(self, size: int = -1, /) -> bytes:
        return self._file.readline(self._limited(size))

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: self._start, io.SEEK_CUR: self._file.tell(), io.SEEK_END: self._stop}[whence]
        return self._file.seek(max(self._start, base + offset)) - self._start

    def tell(self) -> int:
        return self._file.tell() - self._start

    def _limited(self, size: int) -> int:
        left = max(0, self._stop - self._file.tell())
        return left if size < 0 else min(size, left)
