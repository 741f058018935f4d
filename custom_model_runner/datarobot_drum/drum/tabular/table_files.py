"""Tables in files of this machine, read block by block: csv, Parquet and Arrow. What a file is, its first bytes say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from datarobot_drum.drum.exceptions import CommandError
from datarobot_drum.drum.imports import import_from_string

if TYPE_CHECKING:
    import pandas as pd

BLOCK_ROWS = 10_000
BLOCK_BYTES = 16 * 1024 * 1024
"""A block holds at most so many rows, and of wide rows about so many bytes of the file."""

_READERS = {
    "csv": "datarobot_drum.drum.tabular.csv_file:CsvFile",
    "parquet": "datarobot_drum.drum.tabular.arrow_files:ParquetTable",
    "arrow": "datarobot_drum.drum.tabular.arrow_files:ArrowTable",
}

OnProgress = Callable[[str, float], None]
"""Told what is done, and the share of it that is: 0 to 1."""


class FileFormat(str, Enum):
    """The kinds of files that hold samples."""

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
    """A table in an open file, which belongs to the caller. Memory stays flat; types are those of the whole table.

    ``rows`` is how many a block has at most.
    """

    def __init__(self, file: BinaryIO, charset: str, on_progress: OnProgress, rows: int) -> None:
        self.file = file
        self.rows = rows
        self.charset = charset
        self.on_progress = on_progress

    @abstractmethod
    def blocks(self) -> Iterator[pd.DataFrame]:
        """The rows, a block after the other; their index goes on counting.

        Raises:
            UnprocessableInput: when what cannot be read, or is no table, is reached.
        """


def detect_format(file: BinaryIO, path: Path) -> FileFormat:
    """By content first, by the extension second; else csv."""
    file.seek(0)
    head = file.read(16).lower()
    file.seek(0)
    for magic, found in _MAGIC.items():
        if head.startswith(magic.lower()):
            return found
    return _EXTENSIONS.get(path.suffix.lower(), FileFormat.CSV)


def open_table(
    file: BinaryIO, kind: FileFormat, charset: str, on_progress: OnProgress, rows: int = BLOCK_ROWS
) -> TableFile:
    """The table in ``file``, which must be able to rewind; anything but Matrix Market.

    Raises:
        CommandError: the package that reads its format is not installed.
    """
    with require_arrow_extra(kind.value.capitalize()):
        table: TableFile = import_from_string(_READERS[kind.value])(file, charset, on_progress, rows)
    return table


class require_arrow_extra:
    """Within, a missing ``pyarrow`` is told in a sentence that names the extra."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "pyarrow":
            raise CommandError(f"{self._name} files need PyArrow: install datarobot-drum[arrow].") from error
