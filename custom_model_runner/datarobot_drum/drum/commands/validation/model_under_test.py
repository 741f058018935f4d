"""The model under test, and the samples that it is tested with."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from datarobot_drum.drum.commands.input_file import InputFile
from datarobot_drum.drum.commands.loaded_model import answer_rows
from datarobot_drum.drum.commands.progress import OnProgress
from datarobot_drum.drum.exceptions import CommandError, UnprocessableInput
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions, StreamChunk
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.table_files import FileFormat, detect_format, open_table

SAMPLE_ROWS = 1000
"""Rows of the input that are used, from its beginning."""


@dataclass(frozen=True)
class ModelUnderTest:
    """``samples`` are a DataFrame, a sparse matrix, or whatever ``read_input_data`` makes of the file."""

    predictor: BasePredictor
    settings: ModelSettings
    samples: Any

    @property
    def frame(self) -> pd.DataFrame | None:
        """The samples, if they are a table whose cells can be changed."""
        is_sparse = isinstance(self.samples, pd.DataFrame) and any(
            isinstance(dtype, pd.SparseDtype) for dtype in self.samples.dtypes
        )
        return self.samples if isinstance(self.samples, pd.DataFrame) and not is_sparse else None

    @property
    def rows(self) -> int | None:
        """How many samples there are; None if they cannot be told apart."""
        shape = getattr(self.samples, "shape", None)
        return int(shape[0]) if shape and len(shape) == 2 else None

    def take(self, places: Sequence[int]) -> Any:
        """Some of the rows, as a request with these alone would have them."""
        if isinstance(self.samples, pd.DataFrame):
            return self.samples.iloc[list(places)].reset_index(drop=True)
        return self.samples[list(places)]

    def predict(self, samples: Any) -> Predictions:
        """The predictions of rows, whichever hook makes them.

        Raises:
            RequestError: the model refuses them or fails.
        """
        if not self.predictor.only_streams:
            return answer_rows(self.predictor, samples)
        text = io.BytesIO(samples.to_csv(index=False).encode())
        return _join(list(self.predictor.predict_stream(StructuredPayload(text, PayloadFormat.CSV))))


def read_samples(predictor: BasePredictor, source: InputFile, on_progress: OnProgress) -> Any:
    """The first rows of the input, typed as the whole of it; all of it where the model decodes the bytes itself.

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
    return next(open_table(source.file, kind, "utf-8", on_progress).blocks()).iloc[:SAMPLE_ROWS]


def _join(chunks: list[StreamChunk]) -> Predictions:
    blocks = [chunk for chunk in chunks if isinstance(chunk, Predictions)]
    if len(blocks) < len(chunks):
        raise CommandError("The hook score_stream yields text: only rows can be checked.")
    if not blocks:
        raise UnprocessableInput("The hook score_stream yielded nothing.")
    extra = [block.extra for block in blocks if block.extra is not None]
    values = np.concatenate([block.values for block in blocks])
    return Predictions(blocks[0].columns, values, pd.concat(extra, ignore_index=True) if extra else None)
