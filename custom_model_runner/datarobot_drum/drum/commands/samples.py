"""The rows of an input file as a table, and tables as request bodies."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from datarobot_drum.drum.artifact_predictors.features import is_sparse
from datarobot_drum.drum.commands.input_file import opened_input
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.input_schema.columns import TEXT, InputSchema
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload, read_table
from datarobot_drum.drum.tabular.table_files import BLOCK_ROWS, FileFormat, detect_format, open_table
from datarobot_drum.drum.tabular.text_columns import TextColumns


@dataclass(frozen=True)
class Body:
    """Samples as the body of a request."""

    content: bytes
    content_type: str


AS_WRITTEN = InputSchema(rest=TEXT)
"""Reads every cell of a csv as text, so that ``to_body`` writes it as it was."""


def read_samples(path: Path, rows: int | None = None, text: TextColumns | None = None) -> pd.DataFrame:
    """Return the table in the file, or its first ``rows`` rows; a Matrix Market file gives sparse columns.

    Args:
        text: the columns of a csv that are read as text; None for none.

    Raises:
        UsageError: the file cannot be opened.
        UnprocessableInput: the file contains no table.
        CommandError: a package for its format is missing.
    """
    with opened_input(path) as opened:
        kind = detect_format(opened.file, path)
        if kind is FileFormat.MTX or (kind is FileFormat.CSV and rows is None):
            return read_table(StructuredPayload(opened.file, PayloadFormat(kind.value)), text).iloc[:rows]
        table = open_table(opened.file, kind, "utf-8", _ignore_progress, rows or BLOCK_ROWS, text)
        return pd.concat(table.blocks()) if rows is None else next(table.blocks())


def _ignore_progress(step: str, fraction: float) -> None:
    """Discard the progress: reading takes little of the command's time."""


def to_body(table: pd.DataFrame) -> Body:
    """Encode the rows as csv, those of a table with sparse columns as Matrix Market."""
    if is_sparse(table):
        write: Any = import_from_string("scipy.io:mmwrite")
        file = io.BytesIO()
        write(file, table.sparse.to_coo())
        return Body(file.getvalue(), "text/mtx")
    return Body(table.to_csv(index=False).encode(), "text/csv")
