"""The request log in Parquet. PyArrow is an extra.

A Parquet file can be read only when it is complete. So it has a temporary name until then, and is completed when it is
full or old, when the types of columns change, and at the shutdown.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from datarobot_drum.drum.language_predictors.json_values import to_plain
from datarobot_drum.drum.serving.formats.arrow_predictions import UNFIT_CELLS
from datarobot_drum.drum.serving.recording.files import TEMPORARY, RecordFiles
from datarobot_drum.drum.serving.recording.sinks import RecordSink

MAX_BUFFERED_CELLS = 2_000_000
"""Rows times columns, of all requests since the last row group, at which these are written as one."""
MAX_BUFFERED_BYTES = 16 * 1024 * 1024


class ParquetSink(RecordSink):
    """A file a part. Rows wait in memory for a row group.

    Args:
        max_size: bytes at which another file follows; 0 for no limit.
        part_seconds: age at which a file is completed.
    """

    def __init__(self, path: Path, max_files: int, max_size: int, part_seconds: float) -> None:
        super().__init__()
        self._files = RecordFiles(path, max_files, TEMPORARY)
        self._max_size = max_size
        self._part_seconds = part_seconds
        self._buffer: list[pa.Table] = []
        self._names: set[str] = set()
        self._started = 0.0
        self._part: _Part | None = None

    def prepare(self) -> None:
        self._files.prepare()
        self._files.delete_old()

    def write(self, table: pd.DataFrame) -> None:
        try:
            arrow = to_arrow(table)
        except BaseException:
            self.lost += len(table)
            raise
        if not self._buffer and self._part is None:
            self._started = time.monotonic()
        rows, names = _count_rows(self._buffer) + len(arrow), self._names | set(arrow.column_names)
        if rows * len(names) > MAX_BUFFERED_CELLS:
            self._write_row_group()
        self._buffer.append(arrow)
        self._names |= set(arrow.column_names)
        if sum(part.nbytes for part in self._buffer) > MAX_BUFFERED_BYTES:
            self._write_row_group()

    def complete_old(self) -> None:
        has_rows = self._buffer or self._part is not None
        if has_rows and time.monotonic() - self._started >= self._part_seconds:
            self.close()

    def close(self) -> None:
        self._write_row_group()
        self._complete()

    def _write_row_group(self) -> None:
        """Write the rows in memory; an error loses these, and those of the part."""
        buffer, self._buffer, self._names = self._buffer, [], set()
        if not buffer:
            return
        try:
            group = unify(buffer)
            if self._part is not None and not self._part.schema.equals(group.schema):
                self._complete()
            if self._part is None:
                self._part = _Part(self._files, group.schema)
            self._part.write(group)
        except BaseException:
            self.lost += _count_rows(buffer)
            self._discard()
            raise
        if self._max_size and self._part.size >= self._max_size:
            self._complete()

    def _complete(self) -> None:
        if self._part is None:
            return
        try:
            self._part.complete()
        except BaseException:
            self._discard()
            raise
        self.written += self._part.rows
        self._part = None
        self._started = time.monotonic()

    def _discard(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            self.lost += part.rows
            part.discard()


def _count_rows(tables: list[pa.Table]) -> int:
    return sum(map(len, tables))


class _Part:
    """A file that is being written."""

    def __init__(self, files: RecordFiles, schema: pa.Schema) -> None:
        self._files = files
        self.schema = schema
        self.rows = 0
        descriptor, self._path = files.create()
        self._file = os.fdopen(descriptor, "wb")
        self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")

    @property
    def size(self) -> int:
        return self._file.tell()

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table)
        self.rows += len(table)

    def complete(self) -> None:
        """Write the end of the file, and give it its final name."""
        self._writer.close()
        self._file.flush()
        self._files.complete(self._path)
        self._file.close()

    def discard(self) -> None:
        """Delete the file."""
        with suppress(Exception):  # the disk is full, and the writer wants to write
            self._writer.close()
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._path.unlink()


def to_arrow(table: pd.DataFrame) -> pa.Table:
    """Return a table; cells that fit no type of Arrow become text."""
    return pa.table({str(name): _to_array(column) for name, column in table.items()})


def _to_array(column: pd.Series[Any]) -> pa.Array:
    try:
        return pa.array(column, from_pandas=True)
    except (*UNFIT_CELLS, OverflowError):
        return pa.array([_to_text(cell) for cell in column], type=pa.string())


def _to_text(cell: Any) -> str | None:
    plain = to_plain(cell)
    return plain if plain is None or isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def unify(tables: list[pa.Table]) -> pa.Table:
    """Return the rows of all tables with the columns of all; columns with types that do not fit become text."""
    types: dict[str, set[pa.DataType]] = {}
    for table in tables:
        for field in table.schema:
            types.setdefault(field.name, set()).add(field.type)
    unfit = {name for name, found in types.items() if not _has_common_type(found)}
    try:
        return _concat(tables, unfit)
    except UNFIT_CELLS:  # a whole number that no float holds
        return _concat(tables, {name for name, found in types.items() if len(found) > 1})


def _concat(tables: list[pa.Table], texts: set[str]) -> pa.Table:
    return pa.concat_tables([_with_texts(table, texts) for table in tables], promote_options="permissive")


def _has_common_type(types: Iterable[pa.DataType]) -> bool:
    try:
        pa.unify_schemas([pa.schema([("x", found)]) for found in types], promote_options="permissive")
    except UNFIT_CELLS:
        return False
    return True


def _with_texts(table: pa.Table, names: set[str]) -> pa.Table:
    for position, name in enumerate(table.column_names):
        if name in names:
            texts = pa.array(list(map(_to_text, table.column(position).to_pylist())), type=pa.string())
            table = table.set_column(position, name, texts)
    return table
