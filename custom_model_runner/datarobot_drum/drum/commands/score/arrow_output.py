"""Predictions as Parquet and Arrow; extra model output gets the types that all of its rows share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from datarobot_drum.drum.exceptions import CommandError
from datarobot_drum.drum.language_predictors.base import Predictions, StreamChunk
from datarobot_drum.drum.serving.formats.arrow_predictions import UNFIT_CELLS, to_table
from datarobot_drum.drum.settings.target_types import TargetType


class _GrowingFile:
    """A file of tables whose types may widen.

    If a block has other types than those before (numbers after missing values, fractions after whole numbers), the
    file is rewritten with types that fit all. That is rare, and memory stays flat.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._schema: pa.Schema | None = None
        self._writer: Any = None

    def add(self, table: pa.Table) -> None:
        if self._schema is None:
            self._open(table.schema)
        elif table.schema != self._schema:
            self._adapt(pa.unify_schemas([self._schema, table.schema], promote_options="permissive"))
        self._writer.write_table(table.cast(self._schema))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = self._new_writer(self._path, schema)

    def _adapt(self, schema: pa.Schema) -> None:
        if schema == self._schema:
            return
        self.close()
        previous = self._path.replace(self._path.with_name("former"))
        self._open(schema)
        for batch in self._read(previous):
            self._writer.write_table(pa.Table.from_batches([batch]).cast(schema))
        previous.unlink()

    def _new_writer(self, path: Path, schema: pa.Schema) -> Any:
        return pyarrow.parquet.ParquetWriter(path, schema)

    def _read(self, path: Path) -> Iterator[pa.RecordBatch]:
        with pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file:
            yield from file.iter_batches()


class _GrowingArrowFile(_GrowingFile):
    def _new_writer(self, path: Path, schema: pa.Schema) -> Any:
        return pa.ipc.new_file(str(path), schema)

    def _read(self, path: Path) -> Iterator[pa.RecordBatch]:
        with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as reader:
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)


def unify_files(paths: Sequence[Path]) -> None:
    """Give Parquet files that are parts of one table types that fit all of them.

    Raises:
        CommandError: a column mixes types.
    """
    with _fit_errors("Parquet"):
        schemas = [pyarrow.parquet.read_schema(path) for path in paths]
        whole = pa.unify_schemas(schemas, promote_options="permissive")
        for path, schema in zip(paths, schemas, strict=True):
            if schema != whole:
                _rewrite(path, whole)


def _rewrite(path: Path, schema: pa.Schema) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    with (
        pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file,
        pyarrow.parquet.ParquetWriter(temporary, schema) as writer,
    ):
        for batch in file.iter_batches():
            writer.write_table(pa.Table.from_batches([batch]).cast(schema))
    temporary.replace(path)


def write_parquet(chunks: Iterator[StreamChunk], target_type: TargetType, path: Path) -> None:
    """Write a Parquet file.

    Raises:
        CommandError: the model yields text instead of rows, or a column mixes types.
    """
    _write(chunks, _GrowingFile(path), "Parquet")


def write_arrow(chunks: Iterator[StreamChunk], target_type: TargetType, path: Path) -> None:
    """Write an Arrow file, which Feather also reads; raises as ``write_parquet``."""
    _write(chunks, _GrowingArrowFile(path), "Arrow")


def _write(chunks: Iterator[StreamChunk], file: _GrowingFile, name: str) -> None:
    try:
        for chunk in chunks:
            if not isinstance(chunk, Predictions):
                raise CommandError(
                    f"The model yields text, which no {name} file holds: leave --output out, or end it in .csv."
                )
            with _fit_errors(name):
                file.add(to_table(chunk))
    finally:
        file.close()


@contextmanager
def _fit_errors(name: str) -> Iterator[None]:
    try:
        yield
    except UNFIT_CELLS as error:
        cause = " ".join(str(error).split()).rstrip(".")
        raise CommandError(f"The predictions fit no {name} file ({cause}): end --output in .csv.") from error
