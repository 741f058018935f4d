"""Find the records of a csv by the rules of pandas' parser, without parsing cells."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from datarobot_drum.drum.tabular.payload import BinaryFile

_CHUNK_BYTES = 8 * 1024 * 1024
_MAX_RECORD_BYTES = 64 * 1024 * 1024

_QUOTED_CELL = re.compile(rb'(?:(?<=[,\n])|\A)"[^"]*(?:""[^"]*)*"?')
"""A quote opens a cell only at its start; others are text."""

_LINE_END = ord("\n")


@dataclass(frozen=True)
class RecordIndex:
    """The end of the header, and where each block of rows begins."""

    header_end: int
    starts: tuple[int, ...]


class _Uncertain(Exception):
    """The records of this file must be found by the parser."""


def index_records(file: BinaryFile, rows: int) -> RecordIndex | None:
    """Return where each block of ``rows`` records begins; None if only the parser can tell.

    The file is in a charset whose line ends, commas and quotes are those of ASCII.
    """
    scanner = _Scanner(rows)
    file.seek(0)
    try:
        while chunk := file.read(_CHUNK_BYTES):
            scanner.add(chunk)
        return scanner.finish()
    except _Uncertain:
        return None


class _Scanner:
    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._rest = b""
        self._offset = 0  # of the rest
        self._records = 0  # with the header
        self._ends: list[int] = []  # of the header, and of each record that ends a block

    def add(self, chunk: bytes) -> None:
        buffer = self._rest + chunk
        kept = self._count(buffer, is_last=False)
        self._rest = buffer[kept:]
        self._offset += kept
        if len(self._rest) > _MAX_RECORD_BYTES:
            raise _Uncertain

    def finish(self) -> RecordIndex | None:
        if self._rest:
            self._count(self._rest + b"\n", is_last=True)
        if not self._ends:
            return None
        blocks = -(-(self._records - 1) // self._rows)
        return RecordIndex(self._ends[0], tuple(self._ends[:blocks]))

    def _count(self, buffer: bytes, *, is_last: bool) -> int:
        """Count the complete records; return where the last of them ends."""
        returns = buffer.count(b"\r") - (buffer.endswith(b"\r") and not is_last)
        if returns and returns != buffer.count(b"\r\n"):
            raise _Uncertain
        cells = np.frombuffer(buffer, dtype=np.uint8)
        ends = np.flatnonzero(cells == _LINE_END)
        if b'"' in buffer:
            ends = _outside_quotes(buffer, ends, is_last=is_last)
        if not len(ends):
            return 0
        starts = np.concatenate(([0], ends[:-1] + 1))
        records = ends[~_are_blank(buffer, cells, starts, ends)] + 1
        numbers = self._records + np.arange(len(records))
        self._ends += (self._offset + records[numbers % self._rows == 0]).tolist()
        self._records += len(records)
        return int(ends[-1]) + 1


def _outside_quotes(buffer: bytes, ends: np.ndarray, *, is_last: bool) -> np.ndarray:
    """Return the line ends that end a record."""
    is_end = np.ones(len(ends), dtype=bool)
    for cell in _QUOTED_CELL.finditer(buffer):
        start, end = cell.span()
        if end == len(buffer) and not is_last:
            return ends[is_end & (ends < start)]  # the next chunk may continue the cell
        if b"\n" in cell.group():
            is_end[np.searchsorted(ends, start) : np.searchsorted(ends, end)] = False
    return ends[is_end]


def _are_blank(buffer: bytes, cells: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return which lines are blank: pandas skips them."""
    first = cells[starts]
    blank = np.isin(first, np.frombuffer(b" \t\r\n", dtype=np.uint8))
    for number in np.flatnonzero(blank):
        blank[number] = not buffer[starts[number] : ends[number]].strip(b" \t\r")
    return blank
