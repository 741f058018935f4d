"""The formats of the request log: what a sink must do, and JSON lines."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from datarobot_drum.drum.language_predictors.json_values import encode, records
from datarobot_drum.drum.serving.recording.files import RecordFiles

if TYPE_CHECKING:
    import pandas

BLOCK_ROWS = 500
"""Rows that are encoded at a time: the threads of predictions wait for the GIL no longer than for these."""


class RecordSink(ABC):
    """Writes tables to files, from one thread. It counts rows that can be read, and rows that are lost by errors."""

    def __init__(self) -> None:
        self.written = 0
        self.lost = 0

    def take_counts(self) -> tuple[int, int]:
        """Return the rows written and lost since the last call."""
        counts = self.written, self.lost
        self.written = self.lost = 0
        return counts

    @abstractmethod
    def prepare(self) -> None:
        """Find out whether files can be written.

        Raises:
            OSError: they cannot.
        """

    @abstractmethod
    def write(self, table: pandas.DataFrame) -> None:
        """Write a table as a whole, or nothing of it.

        Raises:
            OSError: the file cannot be written.
            PredictionError, ValueError: the format cannot hold its cells.
        """

    def complete_old(self) -> None:  # noqa: B027  # a format whose files are always complete needs none
        """Complete a file that has been open for long; raises as ``write``."""

    @abstractmethod
    def close(self) -> None:
        """Complete the file that is being written; raises as ``write``."""


class JsonLinesSink(RecordSink):
    """A line a row. Each table is in the file, and can be read, when ``write`` returns.

    Args:
        max_size: bytes at which another file follows; 0 for no limit.
    """

    def __init__(self, path: Path, max_files: int, max_size: int) -> None:
        super().__init__()
        self._files = RecordFiles(path, max_files)
        self._max_size = max_size
        self._descriptor: int | None = None

    def prepare(self) -> None:
        self._files.prepare()

    def write(self, table: pandas.DataFrame) -> None:
        try:
            self._append(table)
        except BaseException:
            self.lost += len(table)
            raise
        self.written += len(table)

    def _append(self, table: pandas.DataFrame) -> None:
        blocks = (table.iloc[begin : begin + BLOCK_ROWS] for begin in range(0, len(table), BLOCK_ROWS))
        content = [b"".join(encode(record) + b"\n" for record in records(block)) for block in blocks]
        descriptor = self._open_file()
        size = os.fstat(descriptor).st_size
        try:
            for block in content:
                _write_all(descriptor, block)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, size)  # the disk is full: no line is left without its end
            self.close()
            raise

    def _open_file(self) -> int:
        """Return the file, a new one if it is full or was deleted."""
        if self._descriptor is not None:
            status = os.fstat(self._descriptor)
            is_full = self._max_size and status.st_size >= self._max_size
            if status.st_nlink and not is_full:
                return self._descriptor
            self.close()
        self._descriptor, _ = self._files.create()
        return self._descriptor

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
