"""A model in a process that scores parts of the input; each method is one task of that process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from datarobot_drum.drum.commands.input_file import InputFile, table_input
from datarobot_drum.drum.commands.loaded_model import loaded_model, predict_rows
from datarobot_drum.drum.commands.score.empty_input import predict_no_rows
from datarobot_drum.drum.commands.score.part_files import PartFiles, WrittenPart
from datarobot_drum.drum.commands.score.sources import opened_source
from datarobot_drum.drum.commands.score.structured import columns_of, require_same_columns
from datarobot_drum.drum.exceptions import CommandError, DrumError, PredictionError, UnprocessableInput, UsageError
from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.serving.media_type import MediaType
from datarobot_drum.drum.serving.payloads import declared_header
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import build_model_settings
from datarobot_drum.drum.tabular.csv_parts import CsvParts
from datarobot_drum.drum.tabular.parts import FilePlan, PartReader, PartScan, TablePart, open_parts
from datarobot_drum.drum.tabular.table_files import FileFormat, detect_format


@dataclass(frozen=True)
class Failure:
    """An error of a task, which any process can unpickle."""

    message: str
    exit_code: int
    location: str

    def to_error(self) -> CommandError:
        """Return the error to raise in the process of the command."""
        error = CommandError(self.message)
        error.exit_code, error.location = self.exit_code, self.location
        return error


@dataclass(frozen=True)
class ScoringJob:
    """What each process needs: arguments of the command as JSON, and the files of input and output."""

    arguments: str
    sources: tuple[str, ...]
    output: PartFiles | None


class PartScorer:
    """A loaded model, and the input file that was read last."""

    def __init__(self, job: ScoringJob) -> None:
        arguments = Arguments.from_json(job.arguments)
        self._sources = job.sources
        self._output = job.output
        self._media_type = MediaType.parse(arguments.content_type)
        self._stack = ExitStack()
        self._model = build_model_settings(arguments)
        self._predictor = self._stack.enter_context(loaded_model(self._model))
        self._source = -1
        self._reader: PartReader | None = None
        self._opened = self._stack.enter_context(ExitStack())

    def close(self) -> None:
        self._stack.close()

    def run(self, task: str, argument: Any, types: Any) -> Any:
        """Run a method of this class; return its result or a ``Failure``."""
        try:
            return getattr(self, task)(argument, types)
        except DrumError as error:
            message = getattr(error, "message", str(error))
            return Failure(message, error.exit_code, error.location)

    def plan(self, source: int, types: Any) -> FilePlan:
        return self._open(source).plan(source)

    def scan(self, part: TablePart, types: Any) -> PartScan:
        with self._name_file_in_errors(part):
            return self._open(part.source).scan(part)

    def column_texts(self, place: tuple[int, int], types: Any) -> list[str]:
        """Return the cells of a column of a csv, as they are written."""
        source, position = place
        reader = self._open(source)
        return reader.column_texts(position) if isinstance(reader, CsvParts) else []

    def predict(self, part: TablePart, types: Any) -> list[Predictions]:
        return list(self._predictions(part, types))

    def predict_nothing(self, columns: tuple[str, ...], types: Any) -> Predictions:
        return predict_no_rows(self._predictor, columns)

    def write(self, numbered: tuple[int, TablePart], types: Any) -> WrittenPart:
        number, part = numbered
        if self._output is None:
            raise ValueError("The job has no folder for parts.")
        return self._output.write(number, self._predictions(part, types), self._model.target_type)

    def write_nothing(self, columns: tuple[str, ...], types: Any) -> WrittenPart:
        if self._output is None:
            raise ValueError("The job has no folder for parts.")
        return self._output.write(0, iter([self.predict_nothing(columns, types)]), self._model.target_type)

    def _predictions(self, part: TablePart, types: Any) -> Iterator[Predictions]:
        columns: list[str] = []
        with self._name_file_in_errors(part):
            for samples in self._open(part.source).blocks(part, types):
                first = int(samples.index[0])
                with self._name_rows_in_errors(part, first, len(samples)):
                    predictions = predict_rows(self._predictor, self._predictor.check_samples(samples))
                columns = columns or columns_of(predictions)
                require_same_columns(columns, columns_of(predictions), first)
                yield predictions

    def _open(self, source: int) -> PartReader:
        if source == self._source and self._reader is not None:
            return self._reader
        self._opened.close()
        self._source, self._reader = -1, None
        if self._predictor.reads_raw_input or self._predictor.only_streams:
            raise UsageError("The model reads its whole input itself: give one file, one worker and one output file.")
        opened = self._opened.enter_context(opened_source(self._sources[source]))
        table = self._opened.enter_context(table_input(opened))
        self._reader = self._reader_of(table)
        self._source = source
        return self._reader

    def _reader_of(self, table: InputFile) -> PartReader:
        kind = detect_format(table.file, table.path)
        if kind is FileFormat.MTX:
            raise UsageError(f"{table.path.name}: a Matrix Market file is scored alone, by one worker, into one file.")
        charset, schema = self._media_type.charset or "utf-8", self._predictor.input_schema
        header = declared_header(self._media_type)
        return open_parts(table.file, kind, charset, schema, self._model.limits, header)

    @contextmanager
    def _name_file_in_errors(self, part: TablePart) -> Iterator[None]:
        try:
            yield
        except UnprocessableInput as error:
            where = f"{self._sources[part.source]}, from row {part.first_row + 1} on"
            raise _located(f"{where}: {error.message}", error) from error

    @contextmanager
    def _name_rows_in_errors(self, part: TablePart, first: int, rows: int) -> Iterator[None]:
        try:
            yield
        except (PredictionError, UnprocessableInput) as error:
            where = f"{self._sources[part.source]}, rows {first + 1} to {first + rows}"
            raise _located(f"{where}: {error.message}", error) from error


def _located(message: str, error: DrumError) -> CommandError:
    failure = CommandError(message)
    failure.exit_code, failure.location = error.exit_code, error.location
    return failure
