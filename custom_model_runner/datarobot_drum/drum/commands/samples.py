"""The rows of an input file as a table, and tables as the bodies of requests."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from datarobot_drum.drum.artifact_predictors.features import is_sparse
from datarobot_drum.drum.commands.input_file import opened_input
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload, read_table
from datarobot_drum.drum.tabular.table_files import BLOCK_ROWS, FileFormat, detect_format, open_table


@dataclass(frozen=True)
class Body:
    """Samples as a request carries them."""

    content: bytes
    content_type: str


def read_samples(path: Path, rows: int | None = None) -> pd.DataFrame:
    """The table in the file, or up to ``rows`` of its first rows; those of a Matrix Market file are of sparse type.

    Raises:
        UsageError: the file cannot be opened.
        UnprocessableInput: it holds no table.
        CommandError: a package that reads it is missing.
    """
    with opened_input(path) as opened:
        kind = detect_format(opened.file, path)
        if kind is FileFormat.MTX or (kind is FileFormat.CSV and rows is None):
            return read_table(StructuredPayload(opened.file, PayloadFormat(kind.value))).iloc[:rows]
        table = open_table(opened.file, kind, "utf-8", _say_nothing, rows or BLOCK_ROWS)
        return pd.concat(table.blocks()) if rows is None else next(table.blocks())


def _say_nothing(what: str, share: float) -> None:
    """Reading is quick beside what a command does with the rows."""


def to_body(table: pd.DataFrame) -> Body:
    """The rows as csv, those of a table of sparse columns as a Matrix Market file."""
    if is_sparse(table):
        write: Any = import_from_string("scipy.io:mmwrite")
        file = io.BytesIO()
        write(file, table.sparse.to_coo())
        return Body(file.getvalue(), "text/mtx")
    return Body(table.to_csv(index=False).encode(), "text/csv")
