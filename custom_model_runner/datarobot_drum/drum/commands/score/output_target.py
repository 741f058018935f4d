"""The destination of predictions: standard output, or a file that appears when it is complete."""

from __future__ import annotations

import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from datarobot_drum.drum.commands.replaced_files import keep_permissions, require_other_file
from datarobot_drum.drum.commands.score.formats import find_writer, write_csv, write_csv_file
from datarobot_drum.drum.commands.standard_output import reserve_stdout
from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.language_predictors.base import StreamChunk
from datarobot_drum.drum.process.signals import cleanup_on_signals
from datarobot_drum.drum.settings.target_types import TargetType


class OutputTarget(ABC):
    """A context manager that keeps what was written if `finish` is called."""

    name: str

    @abstractmethod
    def __enter__(self) -> OutputTarget: ...

    @abstractmethod
    def __exit__(self, *reason: object) -> None: ...

    @abstractmethod
    def write(self, chunks: Iterator[StreamChunk], target_type: TargetType) -> None:
        """Write predictions in the format of the destination."""

    @abstractmethod
    def write_bytes(self, chunks: Iterator[bytes]) -> None:
        """Write chunks of bytes unchanged."""

    @abstractmethod
    def finish(self) -> None:
        """Complete the output."""


class StandardOutput(OutputTarget):
    """Standard output for the predictions alone; output of model code goes to standard error."""

    name = "standard output"

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> StandardOutput:
        self._file: BinaryIO = self._stack.enter_context(reserve_stdout())
        return self

    def __exit__(self, *reason: object) -> None:
        self._stack.close()

    def write(self, chunks: Iterator[StreamChunk], target_type: TargetType) -> None:
        write_csv(chunks, target_type, self._file)

    def write_bytes(self, chunks: Iterator[bytes]) -> None:
        for chunk in chunks:
            self._file.write(chunk)
            self._file.flush()

    def finish(self) -> None:
        self._file.flush()


class OutputFile(OutputTarget):
    """A file that is written in a temporary folder beside it and moved at the end, so it is never incomplete."""

    def __init__(self, path: Path, *, any_content: bool) -> None:
        self.name = str(path)
        self._path = path.resolve()
        self._write = write_csv_file if any_content else find_writer(path)
        self._stack = ExitStack()

    def __enter__(self) -> OutputFile:
        try:
            folder = tempfile.mkdtemp(prefix=f".{self._path.name}.", suffix=".part", dir=self._path.parent)
        except OSError as error:
            raise UsageError(f"--output {self.name} cannot be written: {error.strerror}.") from error
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        self._stack.enter_context(cleanup_on_signals(lambda: shutil.rmtree(folder, ignore_errors=True)))
        self._part = Path(folder, "part")
        return self

    def __exit__(self, *reason: object) -> None:
        self._stack.close()

    def write(self, chunks: Iterator[StreamChunk], target_type: TargetType) -> None:
        self._write(chunks, target_type, self._part)

    def write_bytes(self, chunks: Iterator[bytes]) -> None:
        with self._part.open("wb") as file:
            file.writelines(chunks)

    def finish(self) -> None:
        with self._part.open("rb") as file:
            os.fsync(file.fileno())  # before the rename: a crash must not leave an empty file
        keep_permissions(self._part, self._path)
        self._part.replace(self._path)


class OutputDevice(StandardOutput):
    """An existing pipe or device, written to directly."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.name = str(path)
        self._path = path

    def __enter__(self) -> OutputDevice:
        self._file = self._stack.enter_context(self._path.open("wb"))
        return self


def choose_output(output: str | None, source: Path, *, any_content: bool) -> OutputTarget:
    """Return the destination of ``--output``; without it, standard output. ``any_content`` allows every extension.

    Raises:
        UsageError: the path is a folder or the file ``source``, its folder does not exist, or its extension is unknown.
    """
    if not output:
        return StandardOutput()
    path = Path(output).absolute()
    if path.is_dir():
        raise UsageError(f"--output {output} is a folder: name a file.")
    if path.exists() and not path.is_file():
        return OutputDevice(path)
    if not path.parent.is_dir():
        raise UsageError(f"--output {output}: there is no folder {path.parent}.")
    require_other_file("--output", path, source)
    return OutputFile(path, any_content=any_content)
