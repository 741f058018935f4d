"""The rows of an input file as a table, and tables as the bodies of requests."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from datarobot_drum.drum.artifact_predictors.features import is_sparse
from datarobot_drum.drum.commands.input_file import opened_input
from datarobot_drum.drum.exceptions import CommandError
from datarobot_drum.drum.importing import import_from_string
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload, read_blocks, read_table

_ARROW_READERS = {".parquet": pd.read_parquet, ".arrow": pd.read_feather, ".feather": pd.read_feather}
_MATRIX_MARKET = ".mtx"


@dataclass(frozen=True)
class Body:
    """Samples as a request carries them."""

    content: bytes
    content_type: str


def read_samples(path: Path, rows: int | None = None) -> pd.DataFrame:
    """The table in the file, or its first ``rows`` rows; the columns of a Matrix Market file are of sparse type.

    Raises:
        UsageError: the file cannot be opened.
        UnprocessableInput: it holds no table.
        CommandError: a package that reads it is missing, or it is broken.
    """
    suffix = path.suffix.lower()
    if suffix in _ARROW_READERS:
        return _read_arrow(path, rows)
    with opened_input(path) as opened:
        format = PayloadFormat.MTX if suffix == _MATRIX_MARKET else PayloadFormat.CSV
        payload = StructuredPayload(opened.file, format)
        return read_table(payload) if rows is None else next(read_blocks(payload, rows))


def _read_arrow(path: Path, rows: int | None) -> pd.DataFrame:
    try:
        table = _ARROW_READERS[path.suffix.lower()](path)
    except ImportError as error:
        raise CommandError(f"{path.name} needs pyarrow: install datarobot-drum[arrow].") from error
    except (OSError, ValueError) as error:
        raise CommandError(f"{path.name} could not be read: {error}") from error
    if table.empty:
        raise CommandError(f"{path.name} has no rows.")
    return table if rows is None else table.head(rows)


def to_body(table: pd.DataFrame) -> Body:
    """The rows as csv, those of a table of sparse columns as a Matrix Market file."""
    if is_sparse(table):
        write: Any = import_from_string("scipy.io:mmwrite")
        file = io.BytesIO()
        write(file, table.sparse.to_coo())
        return Body(file.getvalue(), "text/mtx")
    return Body(table.to_csv(index=False).encode(), "text/csv")
