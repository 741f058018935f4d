"""Read local table files (csv, Parquet, Arrow) block by block, and detect their format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from datarobot_drum.drum.exceptions import CommandError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.settings.limits import UNLIMITED, InputLimits
from datarobot_drum.drum.tabular.text_columns import TextColumns

if TYPE_CHECKING:
    import pandas as pd

BLOCK_ROWS = 10_000
BLOCK_BYTES = 16 * 1024 * 1024
"""Maximum rows of a block, and the approximate bytes of a block of wide rows."""

_READERS = {
    "csv": "datarobot_drum.drum.tabular.csv_file:CsvFile",
    "parquet": "datarobot_drum.drum.tabular.arrow_files:ParquetTable",
    "arrow": "datarobot_drum.drum.tabular.arrow_files:ArrowTable",
}

OnProgress = Callable[[str, float], None]
"""Callback with the current stage and its completed fraction, 0 to 1."""


class FileFormat(str, Enum):
    """The formats of sample files."""

    CSV = "csv"
    MTX = "mtx"
    PARQUET = "parquet"
    ARROW = "arrow"


_MAGIC = {
    b"PAR1": FileFormat.PARQUET,
    b"ARROW1": FileFormat.ARROW,
    b"\xff\xff\xff\xff": FileFormat.ARROW,
    b"%%matrixmarket": FileFormat.MTX,
}
_EXTENSIONS = {
    ".parquet": FileFormat.PARQUET,
    ".pq": FileFormat.PARQUET,
    ".arrow": FileFormat.ARROW,
    ".feather": FileFormat.ARROW,
    ".mtx": FileFormat.MTX,
}


class TableFile(ABC):
    """A table in an open file, which the caller closes. Memory stays flat; types are those of the whole table.

    ``rows`` is the maximum number of rows in a block. ``text`` are the columns that a csv has as text. ``limits`` are
    those of the table and of its record batches.
    """

    def __init__(
        self,
        file: BinaryIO,
        charset: str,
        on_progress: OnProgress,
        rows: int,
        text: TextColumns | None = None,
        limits: InputLimits = UNLIMITED,
    ) -> None:
        self.file = file
        self.rows = rows
        self.charset = charset
        self.on_progress = on_progress
        self.text = text
        self.limits = limits

    @abstractmethod
    def blocks(self) -> Iterator[pd.DataFrame]:
        """Yield the rows in blocks with a continuous index.

        Raises:
            UnprocessableInput: a block cannot be read.
        """


def detect_format(file: BinaryIO, path: Path) -> FileFormat:
    """Detect the format by content, then by extension; csv by default."""
    file.seek(0)
    head = file.read(16).lower()
    file.seek(0)
    for magic, found in _MAGIC.items():
        if head.startswith(magic.lower()):
            return found
    return _EXTENSIONS.get(path.suffix.lower(), FileFormat.CSV)


def open_table(
    file: BinaryIO,
    kind: FileFormat,
    charset: str,
    on_progress: OnProgress,
    rows: int = BLOCK_ROWS,
    text: TextColumns | None = None,
    limits: InputLimits = UNLIMITED,
) -> TableFile:
    """Open the table in the seekable ``file``, of any format but Matrix Market.

    Raises:
        CommandError: the package that reads the format is not installed.
    """
    with require_arrow_extra(kind.value.capitalize()):
        table: TableFile = import_from_string(_READERS[kind.value])(file, charset, on_progress, rows, text, limits)
    return table


class require_arrow_extra:
    """Context manager that raises a missing ``pyarrow`` as ``CommandError`` with the extra to install."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "pyarrow":
            raise CommandError(f"{self._name} files need PyArrow: install datarobot-drum[arrow].") from error
