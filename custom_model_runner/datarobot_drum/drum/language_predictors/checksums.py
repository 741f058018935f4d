"""Check the files of a model folder against ``model.sha256``, a list in the format of ``sha256sum``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from datarobot_drum.drum.exceptions import ChecksumError
from datarobot_drum.drum.file_digest import digest_of

FILE_NAME = "model.sha256"

_LINE = re.compile(r"(\\?)([0-9a-fA-F]{64}) [ *](.+)")
_ESCAPES = {r"\\": "\\", r"\n": "\n", r"\r": "\r"}


def check_folder(code_dir: Path) -> None:
    """Compare every listed file with its checksum; without a list, do nothing.

    Raises:
        ChecksumError: a file is missing or differs, or the list is malformed or empty.
    """
    listing = code_dir / FILE_NAME
    if not listing.exists():
        return
    entries = list(_entries(listing))
    if not entries:
        raise ChecksumError(f"{FILE_NAME} lists no files: write it with sha256sum, or remove it.")
    for checksum, name in entries:
        _check_file(code_dir / name, name, checksum)


def _entries(listing: Path) -> Iterator[tuple[str, str]]:
    """Yield checksum and name of each listed file."""
    try:
        lines = listing.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ChecksumError(f"{FILE_NAME} cannot be read: {error}.") from error
    for number, line in enumerate(lines, 1):
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        found = _LINE.fullmatch(line)
        name = found and (_unescape(found[3]) if found[1] else found[3])
        if found is None or not name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ChecksumError(
                f"{FILE_NAME}, line {number}: it must hold a SHA-256 checksum, two blanks and the name of a file in "
                "the model folder, as sha256sum writes it."
            )
        yield found[2].lower(), name


def _unescape(name: str) -> str:
    return re.sub(r"\\[\\nr]", lambda found: _ESCAPES[found[0]], name)


def _check_file(path: Path, name: str, checksum: str) -> None:
    if not path.is_file():
        raise ChecksumError(f"{name} is listed in {FILE_NAME}, but missing: nothing of the model folder is loaded.")
    try:
        actual = digest_of(path)
    except OSError as error:
        raise ChecksumError(f"{name} is listed in {FILE_NAME}, but cannot be read: {error.strerror}.") from error
    if actual != checksum:
        raise ChecksumError(
            f"{name} has another SHA-256 checksum than {FILE_NAME} says: nothing of the model folder is loaded. "
            "Restore the file, or write the list again if the change is yours."
        )
