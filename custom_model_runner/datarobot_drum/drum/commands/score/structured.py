"""Rows in, predictions out, a block after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from datarobot_drum.drum.commands.input_file import InputFile
from datarobot_drum.drum.commands.loaded_model import answer_rows
from datarobot_drum.drum.commands.progress import OnProgress
from datarobot_drum.drum.exceptions import CommandError, PredictionError, UnprocessableInput
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions, StreamChunk
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.table_files import BLOCK_ROWS, FileFormat, detect_format, open_table

_PAYLOAD_FORMATS = {FileFormat.CSV: PayloadFormat.CSV, FileFormat.MTX: PayloadFormat.MTX}


def score_rows(
    predictor: BasePredictor, source: InputFile, charset: str, on_progress: OnProgress
) -> Iterator[StreamChunk]:
    """The predictions of all rows.

    Raises:
        RequestError: the input cannot be read, or the model refuses it.
        CommandError: a block failed; the message says which rows it holds. Or the blocks do not fit together.
    """
    kind = detect_format(source.file, source.path)
    if predictor.only_streams:
        yield from predictor.predict_stream(_payload(source, kind, charset))
        return
    is_checked = predictor.reads_raw_input or kind is FileFormat.MTX  # by `read_input`
    done = 0
    columns: list[str] = []
    for samples in _samples(predictor, source, kind, charset, on_progress):
        with _told_by_rows(done, samples):
            if not is_checked:
                predictor.check_samples(samples)
            predictions = answer_rows(predictor, samples)
        columns = columns or _columns(predictions)
        _require_same_columns(columns, _columns(predictions), done)
        done += len(predictions.values)
        yield predictions


def _samples(
    predictor: BasePredictor, source: InputFile, kind: FileFormat, charset: str, on_progress: OnProgress
) -> Iterator[Any]:
    """Blocks of rows; of a Matrix Market file, whose entries come in any order, slices of the whole.

    A model that decodes the bytes itself gets all of them.
    """
    if predictor.reads_raw_input:
        source.file.seek(0)
        yield predictor.read_input(StructuredPayload(source.file, PayloadFormat.CSV, charset))
    elif kind is FileFormat.MTX:
        samples = predictor.read_input(_payload(source, kind, charset))
        rows = samples.shape[0]
        for begin in range(0, rows, BLOCK_ROWS):
            piece = slice(begin, begin + BLOCK_ROWS)
            yield samples.iloc[piece] if hasattr(samples, "iloc") else samples[piece]
            on_progress("scoring", min(1.0, (begin + BLOCK_ROWS) / rows))
    else:
        yield from open_table(source.file, kind, charset, on_progress).blocks()


def _payload(source: InputFile, kind: FileFormat, charset: str) -> StructuredPayload:
    if kind not in _PAYLOAD_FORMATS:
        raise UnprocessableInput(f"A model with score_stream alone reads csv or Matrix Market, not {kind.value}.")
    return StructuredPayload(source.file, _PAYLOAD_FORMATS[kind], charset)


@contextmanager
def _told_by_rows(done: int, samples: Any) -> Iterator[None]:
    """After the first block the model counts rows from the block's first; say where that is."""
    try:
        yield
    except (PredictionError, UnprocessableInput) as error:
        if not done:
            raise
        failure = CommandError(f"In the block of rows {done + 1} to {done + len(samples)}: {error.message}")
        failure.exit_code = error.exit_code
        raise failure from error


def _columns(predictions: Predictions) -> list[str]:
    extra = [] if predictions.extra is None else list(predictions.extra.columns)
    return [*predictions.columns, *extra]


def _require_same_columns(wanted: list[str], found: list[str], done: int) -> None:
    if found != wanted:
        raise CommandError(
            f"The model returned the columns {', '.join(wanted)}, and from row {done + 1} on {', '.join(found)}: a "
            "table has the same columns in all its rows."
        )
