"""Read Parquet and Arrow (Feather) files in batches, with PyArrow from the extra ``arrow``."""

from __future__ import annotations

import itertools
import struct
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from datarobot_drum.drum.error_text import shortened
from datarobot_drum.drum.exceptions import EmptyTable, UnprocessableInput
from datarobot_drum.drum.tabular.arrow_messages import check_batches
from datarobot_drum.drum.tabular.arrow_sizes import DecodedSize
from datarobot_drum.drum.tabular.column_hints import list_names
from datarobot_drum.drum.tabular.table_files import BLOCK_BYTES, TableFile

_CELL_BYTES = 8
_SAMPLE_ROWS = 100
_MAX_CAUSE = 300

# The metadata of pandas in a file may hold anything, and its conversion raises errors of every kind.
_READ_ERRORS = (
    *(pa.ArrowException, struct.error, OSError, MemoryError),
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
)


class BatchTable(TableFile):
    """A table file that is read in record batches, with all columns or some."""

    format_name = ""

    def _check(self) -> None:
        """Check the file before it is decoded."""

    @abstractmethod
    def _schema(self) -> pa.Schema: ...

    @abstractmethod
    def _row_count(self) -> int | None: ...

    @abstractmethod
    def _batches(
        self, columns: Sequence[str] | None = None, start: int = 0, stop: int | None = None
    ) -> Iterator[pa.RecordBatch]: ...

    @abstractmethod
    def units(self) -> list[tuple[int, int]]:
        """Return where the file can be cut: the number of a row or batch, and of the row there."""

    def read_schema(self) -> tuple[pa.Schema, int | None]:
        """Return the columns, and the number of rows if the file states it.

        Raises:
            UnprocessableInput: the file cannot be read, or several columns have the same name.
        """
        with self._read_errors():
            self._check()
            schema, total = self._schema(), self._row_count()
            names = Counter(schema.names)  # names that are no UTF-8 raise an error
        repeated = [name for name, count in names.items() if count > 1]
        if repeated:
            raise UnprocessableInput(
                f"The {self.format_name} file has several columns of the same name: {list_names(repeated)}."
            )
        return schema, total

    def read_part(
        self, start: int, stop: int | None, missing: set[str], categories: dict[str, pd.Index]
    ) -> Iterator[pd.DataFrame]:
        """Yield the blocks between two of `units`, without an index of their own."""
        for batch in self._read_batches(self._valid_batches(None, start, stop)):
            with self._read_errors():
                frame = to_frame(batch, missing, categories)
            yield frame

    def blocks(self) -> Iterator[pd.DataFrame]:
        done = 0
        _, total = self.read_schema()
        with self._read_errors():
            missing, categories = self.scan_columns()
        for batch in self._read_batches(self._valid_batches()):
            with self._read_errors():
                frame = to_frame(batch, missing, categories)
            frame.index = pd.RangeIndex(done, done + len(frame))
            done += len(frame)
            yield frame
            self.on_progress("scoring", done / total if total else 0.0)
        if not done:
            raise EmptyTable(f"The {self.format_name} file has no rows.", self._schema().names)

    def scan_columns(self, start: int = 0, stop: int | None = None) -> tuple[set[str], dict[str, pd.Index]]:
        """Return the columns with missing values, which turn integers into floats, and all categories of the others.

        ``start`` and ``stop`` are those of `units`.
        """
        fields = [field for field in self._schema() if _depends_on_other_rows(field.type)]
        missing: set[str] = set()
        categories: dict[str, pd.Index] = {}
        if not fields:
            return missing, categories
        for batch in self._valid_batches([field.name for field in fields], start, stop):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if pa.types.is_dictionary(column.type):
                    values = pd.Index(column.dictionary.to_pandas())
                    known = categories.get(name)
                    categories[name] = values if known is None else known.append(values[~values.isin(known)])
                elif column.null_count:
                    missing.add(name)
        return missing, categories

    def _valid_batches(
        self, columns: Sequence[str] | None = None, start: int = 0, stop: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches whose content is valid: PyArrow trusts offsets and indices, and may crash."""
        size = DecodedSize(self.limits)
        for batch in self._batches(columns, start, stop):
            batch.validate(full=True)
            size.add(batch)
            yield batch

    def _read_batches(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with self._read_errors():
            batch = next(batches, None)
        while batch is not None:
            rows = self._rows_per_block(batch.schema)
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)
            with self._read_errors():
                batch = next(batches, None)

    def _rows_per_block(self, schema: pa.Schema) -> int:
        """Return the rows of a block, fewer for many columns."""
        return max(1, min(self.rows, BLOCK_BYTES // _CELL_BYTES // max(1, len(schema))))

    @contextmanager
    def _read_errors(self) -> Iterator[None]:
        try:
            yield
        except _READ_ERRORS as error:
            cause = shortened(" ".join(str(error).split()).rstrip("."), _MAX_CAUSE)
            raise UnprocessableInput(f"The {self.format_name} file could not be read: {cause}.") from error


class ParquetTable(BatchTable):
    format_name = "Parquet"

    def _schema(self) -> pa.Schema:
        return self._open().schema_arrow

    def _row_count(self) -> int:
        return int(self._open().metadata.num_rows)

    def _batches(
        self, columns: Sequence[str] | None = None, start: int = 0, stop: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        chosen = None if columns is None else list(columns)
        rows = self._batch_rows()
        file = self._open()
        groups, first = _row_groups(file.metadata, start, stop)
        batches = file.iter_batches(batch_size=rows, columns=chosen, row_groups=groups)
        left = (file.metadata.num_rows if stop is None else stop) - start
        yield from _regroup(batches, start - first, left, rows)

    def units(self) -> list[tuple[int, int]]:
        with self._read_errors():
            return [(row, row) for row in range(0, self._row_count(), self._batch_rows())]

    def _batch_rows(self) -> int:
        return min(self._rows_per_block(self._schema()), self._rows_of_bytes(BLOCK_BYTES))

    def _rows_of_bytes(self, size: int) -> int:
        """Return how many rows take ``size`` bytes, by the row group with the longest rows and by the first rows.

        The size of a row group counts a text once that many rows refer to, so the first rows are decoded.
        """
        file = self._open()
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        row_bytes = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=1)
        first = next(file.iter_batches(batch_size=_SAMPLE_ROWS), None)
        if first is not None and first.num_rows:
            row_bytes = max(row_bytes, first.nbytes / first.num_rows)
        return max(1, int(size / max(1, row_bytes)))

    def _open(self) -> Any:
        self.file.seek(0)
        return pyarrow.parquet.ParquetFile(pa.PythonFile(self.file, mode="r"), pre_buffer=False)


class ArrowTable(BatchTable):
    """A table in Arrow's file format, which Feather is, or its stream format."""

    format_name = "Arrow"

    def _check(self) -> None:
        check_batches(self.file, self.limits, is_stream=self._is_stream())

    def _schema(self) -> pa.Schema:
        return self._open().schema

    def _row_count(self) -> int | None:
        return None

    def _batches(
        self, columns: Sequence[str] | None = None, start: int = 0, stop: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        reader = self._open()
        if isinstance(reader, pa.ipc.RecordBatchFileReader):
            numbers = range(start, reader.num_record_batches if stop is None else stop)
            batches = (reader.get_batch(number) for number in numbers)
        else:
            batches = iter(reader)
        for batch in batches:
            yield batch if columns is None else batch.select(list(columns))

    def _open(self) -> Any:
        is_stream = self._is_stream()
        self.file.seek(0)
        source = pa.PythonFile(self.file, mode="r")
        return pa.ipc.open_stream(source) if is_stream else pa.ipc.open_file(source)

    def units(self) -> list[tuple[int, int]]:
        """Return the start of each batch; for a stream, that of the file alone."""
        with self._read_errors():
            batches = self._open()
            if not isinstance(batches, pa.ipc.RecordBatchFileReader):
                return [(0, 0)] if any(batch.num_rows for batch in batches) else []
            rows = [batches.get_batch(number).num_rows for number in range(batches.num_record_batches)]
        starts = itertools.accumulate(rows, initial=0)
        return list(zip(range(len(rows)), starts, strict=False))

    def _is_stream(self) -> bool:
        self.file.seek(0)
        return self.file.read(1) == b"\xff"


def _depends_on_other_rows(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_integer(dtype) or pa.types.is_boolean(dtype) or pa.types.is_dictionary(dtype))


def _row_groups(metadata: Any, start: int, stop: int | None) -> tuple[list[int], int]:
    """Return the row groups with the rows from ``start`` to ``stop``, and the first row of the first of them."""
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    starts = list(itertools.accumulate(sizes, initial=0))
    end = metadata.num_rows if stop is None else stop
    groups = [number for number in range(len(sizes)) if starts[number] < end and starts[number + 1] > start]
    return groups, starts[groups[0]] if groups else 0


def _regroup(batches: Iterator[pa.RecordBatch], skipped: int, left: int, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield batches of ``rows`` rows, the last one excepted, after ``skipped`` rows and up to ``left`` rows.

    PyArrow's own batches end with a row group if a column is a dictionary.
    """
    pending: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        if not skipped and not pending and batch.num_rows == rows <= left:
            left -= rows
            yield batch
            continue
        part = batch.slice(skipped)
        skipped = max(0, skipped - batch.num_rows)
        pending.append(part.slice(0, left))
        left -= pending[-1].num_rows
        count += pending[-1].num_rows
        while count >= rows or (not left and count):
            whole = pa.concat_batches(pending)
            yield whole.slice(0, rows)
            count -= min(rows, count)
            pending = [whole.slice(rows)] if count else []


def to_frame(batch: pa.RecordBatch, missing: set[str], categories: dict[str, pd.Index]) -> pd.DataFrame:
    """Convert a block, with the types of the whole table and without a stored index."""
    frame = pa.Table.from_batches([batch]).to_pandas()
    for name in missing.intersection(frame.columns):
        if isinstance(frame[name].dtype, np.dtype):
            frame[name] = frame[name].astype(object if frame[name].dtype.kind in "bO" else "float64")
    for name in categories.keys() & set(frame.columns):
        frame[name] = frame[name].cat.set_categories(categories[name])
    return frame
