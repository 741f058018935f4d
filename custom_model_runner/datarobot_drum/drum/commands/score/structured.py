"""Structured scoring: rows in, predictions out, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, BinaryIO, cast

from datarobot_drum.drum.commands.input_file import InputFile, table_input
from datarobot_drum.drum.commands.loaded_model import predict_rows
from datarobot_drum.drum.commands.progress import OnProgress
from datarobot_drum.drum.commands.score.empty_input import predict_no_rows
from datarobot_drum.drum.exceptions import CommandError, EmptyTable, PredictionError, UnprocessableInput
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions, StreamChunk
from datarobot_drum.drum.settings.limits import UNLIMITED, InputLimits
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.headerless import with_header
from datarobot_drum.drum.tabular.table_files import BLOCK_ROWS, FileFormat, detect_format, open_table

_PAYLOAD_FORMATS = {FileFormat.CSV: PayloadFormat.CSV, FileFormat.MTX: PayloadFormat.MTX}


def score_rows(
    predictor: BasePredictor,
    source: InputFile,
    charset: str,
    on_progress: OnProgress,
    limits: InputLimits = UNLIMITED,
    has_header: bool | None = None,
) -> Iterator[StreamChunk]:
    """Yield the predictions of all rows, for a table without rows an empty prediction.

    Args:
        has_header: False for a csv without a header line; None to recognise it.

    Raises:
        RequestError: the input cannot be read, or the model rejects it.
        CommandError: a block failed (the message names its rows), or the blocks have different columns.
    """
    with nullcontext(source) if predictor.reads_raw_input else table_input(source) as table:
        if not predictor.reads_raw_input and detect_format(table.file, table.path) is FileFormat.CSV:
            payload = StructuredPayload(table.file, PayloadFormat.CSV, charset, limits, has_header=has_header)
            completed = with_header(payload, predictor.input_schema)
            table = InputFile(table.path, cast(BinaryIO, completed.file))
        yield from _score_table(predictor, table, charset, on_progress, limits)


def _score_table(
    predictor: BasePredictor, source: InputFile, charset: str, on_progress: OnProgress, limits: InputLimits
) -> Iterator[StreamChunk]:
    kind = detect_format(source.file, source.path)
    try:
        yield from _score_blocks(predictor, source, kind, charset, on_progress, limits)
    except EmptyTable as empty:
        yield predict_no_rows(predictor, empty.columns)


def _score_blocks(
    predictor: BasePredictor,
    source: InputFile,
    kind: FileFormat,
    charset: str,
    on_progress: OnProgress,
    limits: InputLimits,
) -> Iterator[StreamChunk]:
    if predictor.only_streams:
        yield from predictor.predict_stream(_payload(source, kind, charset, limits))
        return
    is_checked = predictor.reads_raw_input or kind is FileFormat.MTX  # by `read_input`
    scored = 0
    columns: list[str] = []
    for samples in _samples(predictor, source, kind, charset, on_progress, limits):
        with _name_block_in_errors(scored, samples):
            if not is_checked:
                samples = predictor.check_samples(samples)
            predictions = predict_rows(predictor, samples)
        columns = columns or columns_of(predictions)
        require_same_columns(columns, columns_of(predictions), scored)
        scored += len(predictions.values)
        yield predictions


def _samples(
    predictor: BasePredictor,
    source: InputFile,
    kind: FileFormat,
    charset: str,
    on_progress: OnProgress,
    limits: InputLimits,
) -> Iterator[Any]:
    """Yield blocks of rows; for Matrix Market, whose entries are unordered, slices of the whole table.

    A model that reads raw input gets all of it.
    """
    if predictor.reads_raw_input:
        source.file.seek(0)
        yield predictor.read_input(StructuredPayload(source.file, PayloadFormat.CSV, charset))
    elif kind is FileFormat.MTX:
        samples = predictor.read_input(_payload(source, kind, charset, limits))
        count = samples.shape[0]
        for start in range(0, count, BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            yield samples.iloc[rows] if hasattr(samples, "iloc") else samples[rows]
            on_progress("scoring", min(1.0, (start + BLOCK_ROWS) / count))
    else:
        text = predictor.input_schema
        yield from open_table(source.file, kind, charset, on_progress, text=text, limits=limits).blocks()


def _payload(source: InputFile, kind: FileFormat, charset: str, limits: InputLimits) -> StructuredPayload:
    if kind not in _PAYLOAD_FORMATS:
        raise UnprocessableInput(f"A model with score_stream alone reads csv or Matrix Market, not {kind.value}.")
    return StructuredPayload(source.file, _PAYLOAD_FORMATS[kind], charset, limits)


@contextmanager
def _name_block_in_errors(scored: int, samples: Any) -> Iterator[None]:
    """Name the rows of the block in errors: the model counts rows from the start of the block."""
    try:
        yield
    except (PredictionError, UnprocessableInput) as error:
        if not scored:
            raise
        failure = CommandError(f"In the block of rows {scored + 1} to {scored + len(samples)}: {error.message}")
        failure.exit_code, failure.location = error.exit_code, error.location
        raise failure from error


def columns_of(predictions: Predictions) -> list[str]:
    extra = [] if predictions.extra is None else list(predictions.extra.columns)
    return [*predictions.columns, *extra]


def require_same_columns(expected: list[str], found: list[str], scored: int) -> None:
    if found != expected:
        raise CommandError(
            f"The model returned the columns {', '.join(expected)}, and from row {scored + 1} on {', '.join(found)}: a "
            "table has the same columns in all its rows."
        )
