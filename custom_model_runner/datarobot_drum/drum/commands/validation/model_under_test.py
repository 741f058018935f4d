"""The model under test and its samples."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from datarobot_drum.drum.commands.input_file import InputFile
from datarobot_drum.drum.commands.loaded_model import predict_rows
from datarobot_drum.drum.commands.progress import OnProgress
from datarobot_drum.drum.exceptions import CommandError, UnprocessableInput
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions, StreamChunk
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.decoded_text import DecodedText
from datarobot_drum.drum.tabular.headerless import with_header
from datarobot_drum.drum.tabular.table_files import FileFormat, detect_format, open_table

SAMPLE_ROWS = 1000
"""The number of rows of the input that are used, the first ones."""


@dataclass(frozen=True)
class ModelUnderTest:
    """``samples`` are a DataFrame, a sparse matrix, or the result of ``read_input_data``.

    ``cells`` are the same rows of a csv file as they are written there; None for other formats.
    """

    predictor: BasePredictor
    settings: ModelSettings
    samples: Any
    cells: pd.DataFrame | None = None

    @property
    def frame(self) -> pd.DataFrame | None:
        """The samples if they are a table whose cells can be changed, else None."""
        is_sparse = isinstance(self.samples, pd.DataFrame) and any(
            isinstance(dtype, pd.SparseDtype) for dtype in self.samples.dtypes
        )
        return self.samples if isinstance(self.samples, pd.DataFrame) and not is_sparse else None

    @property
    def rows(self) -> int | None:
        """The number of samples; None if they have no rows."""
        shape = getattr(self.samples, "shape", None)
        return int(shape[0]) if shape and len(shape) == 2 else None

    def texts(self, maximum: int) -> list[str]:
        """Return the first texts of the samples: those of the prompt column, or of the only column."""
        frame, column = self.frame, self.settings.prompt_column
        if frame is None or (column not in frame and len(frame.columns) != 1):
            return []
        cells = frame[column] if column in frame else frame.iloc[:, 0]
        return [str(cell) for cell in cells.dropna().head(maximum)]

    @property
    def no_texts(self) -> str:
        """Why a check of texts is skipped."""
        return f"the input has no texts in a column {self.settings.prompt_column!r}, nor in an only one"

    def take(self, positions: Sequence[int]) -> Any:
        """Return some of the rows, indexed as in a request with only these."""
        if isinstance(self.samples, pd.DataFrame):
            return self.samples.iloc[list(positions)].reset_index(drop=True)
        return self.samples[list(positions)]

    def predict_csv(self, positions: Sequence[int]) -> Predictions:
        """Return the predictions of rows as of a csv request that has only these.

        Raises:
            RequestError: the model rejects the rows or fails.
        """
        assert self.cells is not None
        body = io.BytesIO(self.cells.iloc[list(positions)].to_csv(index=False).encode())
        payload = StructuredPayload(body, PayloadFormat.CSV)
        if self.predictor.only_streams:
            return _join(list(self.predictor.predict_stream(payload)))
        return predict_rows(self.predictor, self.predictor.read_input(payload))

    def predict(self, samples: Any) -> Predictions:
        """Return the predictions of rows, with whichever hook the model has.

        Raises:
            RequestError: the model rejects the rows or fails.
        """
        if not self.predictor.only_streams:
            return predict_rows(self.predictor, self.predictor.check_samples(samples))
        text = io.BytesIO(samples.to_csv(index=False).encode())
        return _join(list(self.predictor.predict_stream(StructuredPayload(text, PayloadFormat.CSV))))


def read_samples(predictor: BasePredictor, source: InputFile, on_progress: OnProgress) -> Any:
    """Return the first rows of the input, with the types of the whole; all of it for a model that reads raw input.

    Raises:
        RequestError: the input cannot be read.
        CommandError: a package for its format is missing.
    """
    kind = detect_format(source.file, source.path)
    if predictor.reads_raw_input:
        return predictor.read_input(StructuredPayload(source.file, PayloadFormat.CSV))
    if kind is FileFormat.MTX:
        samples = predictor.read_input(StructuredPayload(source.file, PayloadFormat.MTX))
        return samples.iloc[:SAMPLE_ROWS] if isinstance(samples, pd.DataFrame) else samples[:SAMPLE_ROWS]
    table = open_table(source.file, kind, "utf-8", on_progress, text=predictor.input_schema)
    return next(table.blocks()).iloc[:SAMPLE_ROWS]


def read_cells(predictor: BasePredictor, source: InputFile) -> pd.DataFrame | None:
    """Return the first rows of a csv as text, unchanged; None for another format or a model that reads raw input."""
    if predictor.reads_raw_input or detect_format(source.file, source.path) is not FileFormat.CSV:
        return None
    payload = with_header(StructuredPayload(source.file, PayloadFormat.CSV), predictor.input_schema)
    payload.file.seek(0)
    text = DecodedText(payload.file, "utf-8")
    return pd.read_csv(text, dtype=str, keep_default_na=False, nrows=SAMPLE_ROWS, compression=None)


def _join(chunks: list[StreamChunk]) -> Predictions:
    blocks = [chunk for chunk in chunks if isinstance(chunk, Predictions)]
    if len(blocks) < len(chunks):
        raise CommandError("The hook score_stream yields text: only rows can be checked.")
    if not blocks:
        raise UnprocessableInput("The hook score_stream yielded nothing.")
    extra = [block.extra for block in blocks if block.extra is not None]
    values = np.concatenate([block.values for block in blocks])
    return Predictions(blocks[0].columns, values, pd.concat(extra, ignore_index=True) if extra else None)
