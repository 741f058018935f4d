"""The file of ``--input``."""

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from datarobot_drum.drum.exceptions import UnprocessableInput, UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.tabular.content_detection import HEAD_BYTES, describe_content

_GZIP = b"\x1f\x8b"
_JSON_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})


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


def is_chat_request(path: Path) -> bool:
    """Return whether the input of a model that chats is one request, and not a table of prompts."""
    return path.suffix.lower() == ".json"


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


@contextmanager
def table_input(source: InputFile) -> Iterator[InputFile]:
    """Unpack a gzip file into a temporary one, and reject JSON files, whose text may pass for csv.

    Raises:
        UsageError: the file cannot be unpacked.
        UnprocessableInput: it is JSON.
    """
    source.file.seek(0)
    is_packed = source.file.read(len(_GZIP)) == _GZIP
    source.file.seek(0)
    if not is_packed:
        _reject_json(source)
        yield source
        return
    with tempfile.TemporaryFile() as copy:
        try:
            with gzip.open(source.file) as content:
                shutil.copyfileobj(content, copy)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UsageError(f"--input {source.path} cannot be unpacked: {error}.") from error
        copy.seek(0)
        unpacked = InputFile(source.path.with_suffix(""), copy)
        _reject_json(unpacked)
        yield unpacked


def _reject_json(source: InputFile) -> None:
    suffix = source.path.suffix.lower()
    if suffix not in _JSON_SUFFIXES:
        return
    head = source.file.read(HEAD_BYTES)
    source.file.seek(0)
    if describe_content(head):
        options = "" if suffix == ".json" else ", lines=True"
        raise UnprocessableInput(
            f"{source.path.name} is JSON, not csv: convert it, for example with "
            f"pandas.read_json({source.path.name!r}{options}).to_csv('rows.csv', index=False)."
        )
