"""Tables in many files, cut into parts that processes read independently of each other.

The parts consist of the blocks in which one process reads a file. Column types are those of all files as one table, so
each part is first scanned for what it holds, and then read with the types of the whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.settings.limits import InputLimits
from datarobot_drum.drum.tabular.table_files import BLOCK_ROWS, FileFormat, require_arrow_extra
from datarobot_drum.drum.tabular.text_columns import TextColumns

if TYPE_CHECKING:
    import pandas as pd

    from datarobot_drum.drum.tabular.payload import BinaryFile

_MAX_BLOCKS, _MIN_PARTS = 10, 8
"""Blocks of a part, unless a file has so few that several workers would have nothing to do."""

UNKNOWN = -1
"""The number of blocks of a file that has to be parsed for it."""

_READERS = {
    FileFormat.CSV: "datarobot_drum.drum.tabular.csv_parts:CsvParts",
    FileFormat.PARQUET: "datarobot_drum.drum.tabular.arrow_parts:ParquetParts",
    FileFormat.ARROW: "datarobot_drum.drum.tabular.arrow_parts:ArrowParts",
}


@dataclass(frozen=True)
class TablePart:
    """Consecutive blocks of one file.

    ``start`` and ``stop`` are offsets in bytes for csv, numbers of rows for Parquet, of batches for Arrow. ``stop`` is
    None at the end of the file.
    """

    source: int
    start: int
    stop: int | None
    first_row: int
    header: int = 0
    """The bytes of a csv before its first row; 0 if the part is the whole file."""


@dataclass(frozen=True)
class FilePlan:
    """The parts of a file; none for a file without rows."""

    columns: tuple[str, ...]
    parts: tuple[TablePart, ...]
    blocks: int
    format: FileFormat


@dataclass
class PartScan:
    """What the columns of a part hold: kinds of values for csv, missing values and categories for Arrow."""

    kinds: dict[str, set[Any]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    categories: dict[str, Any] = field(default_factory=dict)

    def add(self, other: PartScan) -> None:
        """Add the scan of the next part."""
        for name, kinds in other.kinds.items():
            self.kinds.setdefault(name, set()).update(kinds)
        self.options = other.options
        self.missing |= other.missing
        for name, values in other.categories.items():
            known = self.categories.get(name)
            self.categories[name] = values if known is None else known.append(values[~values.isin(known)])


class PartReader(ABC):
    """Reads the parts of one open file, which the caller closes.

    ``types`` are those of the whole table; None for a table of a single block.
    """

    def __init__(
        self, file: BinaryFile, charset: str, text: TextColumns | None, limits: InputLimits, has_header: bool | None
    ) -> None:
        self.file = file
        self.charset = charset
        self.text = text
        self.limits = limits
        self.has_header = has_header
        self.rows = BLOCK_ROWS

    @abstractmethod
    def plan(self, source: int) -> FilePlan:
        """Cut the file into parts.

        Raises:
            UnprocessableInput: it cannot be read.
        """

    @abstractmethod
    def scan(self, part: TablePart) -> PartScan: ...

    @abstractmethod
    def blocks(self, part: TablePart, types: Any) -> Iterator[pd.DataFrame]:
        """Yield the rows in the blocks of a file that is read as a whole, with its index."""


def open_parts(
    file: BinaryFile,
    kind: FileFormat,
    charset: str,
    text: TextColumns | None,
    limits: InputLimits,
    has_header: bool | None,
) -> PartReader:
    """Return the reader of a file, of any format but Matrix Market.

    Raises:
        CommandError: the package that reads the format is not installed.
    """
    with require_arrow_extra(kind.value.capitalize()):
        reader: PartReader = import_from_string(_READERS[kind])(file, charset, text, limits, has_header)
    return reader


def cut(source: int, starts: Sequence[tuple[int, int]]) -> tuple[TablePart, ...]:
    """Return parts of the blocks that begin at ``starts``, each a place in the file and the number of its row."""
    blocks = max(1, min(_MAX_BLOCKS, len(starts) // _MIN_PARTS))
    firsts = starts[::blocks]
    stops = [*(place for place, _ in firsts[1:]), None]
    return tuple(
        TablePart(source, place, stop, row) for (place, row), stop in zip(firsts, stops[: len(firsts)], strict=True)
    )
