"""The file of ``--input``."""

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
    """An open, seekable file and its original path."""

    path: Path
    file: BinaryIO


def input_path(arguments: Arguments) -> Path:
    """Return the absolute path of the input: model code may change the working folder.

    Raises:
        UsageError: the flag is missing, or the path is not a file.
    """
    if not arguments.input:
        raise UsageError("--input is missing: give the flag or the variable INPUT.")
    path = Path(arguments.input).absolute()
    if not path.exists() or path.is_dir():
        raise UsageError(f"--input {arguments.input} is not a file.")
    return path


@contextmanager
def opened_input(path: Path) -> Iterator[InputFile]:
    """Open the input. A file that cannot seek, such as a pipe, is copied to a temporary file first.

    Raises:
        UsageError: the file cannot be read.
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
