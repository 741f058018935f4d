"""The file that ``--input`` names."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.arguments import Arguments


@dataclass(frozen=True)
class InputFile:
    """An open file that can rewind, and the name that it was given by."""

    path: Path
    file: BinaryIO


def input_path(arguments: Arguments) -> Path:
    """Where the input is, wherever model code moves to.

    Raises:
        UsageError: none was given, or it is no file.
    """
    if not arguments.input:
        raise UsageError("--input is missing: give the flag or the variable INPUT.")
    path = Path(arguments.input).absolute()
    if not path.exists() or path.is_dir():
        raise UsageError(f"--input {arguments.input} is not a file.")
    return path


@contextmanager
def opened_input(path: Path) -> Iterator[InputFile]:
    """The input, open. What cannot rewind, as a pipe, is copied to a temporary file first.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        file: BinaryIO = path.open("rb")
    except OSError as error:
        raise UsageError(f"--input {path} cannot be read: {error.strerror}.") from error
    with file:
        if path.is_file():
            yield InputFile(path, file)
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(file, copy)
            copy.seek(0)
            yield InputFile(path, copy)
