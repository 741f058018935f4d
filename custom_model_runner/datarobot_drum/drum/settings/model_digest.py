"""The digest of a model folder: of the paths and contents of its files, without hidden ones and bytecode.

The digest of a folder is the SHA-256 of one line a file, ``<SHA-256 of the file>  <relative path>``, sorted by path:
that of ``sha256sum``. Of a large file blocks are read, so that a start is not slower by more than the load of the
model.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from datarobot_drum.drum.file_digest import digest_of
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.environment import export_model_digests, exported_model_digests

logger = logging.getLogger(__name__)

MAX_WHOLE_BYTES = 16 << 20
"""Bytes of a file that is read as a whole."""
BLOCKS, BLOCK_BYTES = 256, 1 << 16
"""Blocks of a larger file, spread evenly from its start to its end."""

SKIPPED_FOLDERS = ("__pycache__",)
SKIPPED_SUFFIXES = (".pyc", ".pyo")


def export_digests(model: ModelSettings) -> Mapping[str, str]:
    """Compute the digests of a model for the workers that this process starts, and return them by name."""
    digests = model_digests(model)
    export_model_digests(json.dumps({"folder": str(model.code_dir), "digests": digests}))
    return digests


def known_digests(model: ModelSettings) -> Mapping[str, str]:
    """Return the digests that the process above has computed, else compute them."""
    with suppress(ValueError, TypeError, KeyError):
        exported = json.loads(exported_model_digests())
        digests = exported["digests"]
        if exported["folder"] == str(model.code_dir) and digests.keys() == {"", *_names(model)}:
            return {str(name): str(digest) for name, digest in digests.items()}
    return model_digests(model)


def model_digests(model: ModelSettings) -> dict[str, str]:
    """Return the digest of the whole folder, by the empty name, and of each model of a routed set."""
    files = _digest_files(model.code_dir)
    digests = {"": _digest_lines(files)}
    for own in model.models:
        folder = PurePosixPath(os.path.relpath(own.code_dir, model.code_dir))
        inner = {path.relative_to(folder): digest for path, digest in files.items() if path.is_relative_to(folder)}
        digests[own.served_name] = _digest_lines(inner)
    return digests


def _names(model: ModelSettings) -> list[str]:
    return [own.served_name for own in model.models]


def _digest_lines(files: Mapping[PurePosixPath, str]) -> str:
    lines = sorted((os.fsencode(path), digest) for path, digest in files.items())
    return hashlib.sha256(b"".join(b"%s  %s\n" % (digest.encode(), path) for path, digest in lines)).hexdigest()


def _digest_files(folder: Path) -> dict[PurePosixPath, str]:
    digests = {PurePosixPath(path.relative_to(folder)): _try_digest(path) for path in _walk(folder)}
    return {path: digest for path, digest in digests.items() if digest is not None}


def _try_digest(path: Path) -> str | None:
    """Return the digest of a file; None for what is no regular file, or cannot be read."""
    try:
        information = path.stat()
        return _digest_file(path, information.st_size) if stat.S_ISREG(information.st_mode) else None
    except OSError as error:  # no permission, or it has just been removed
        logger.warning("%s is not part of the digest of the model: %s", path, error.strerror or error)
        return None


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the paths of files; links are followed, but no folder is entered inside itself."""
    for name, folders, files in os.walk(folder, followlinks=True):
        above = {os.path.realpath(name), *map(os.path.realpath, _parents(name, folder))}
        folders[:] = [
            inner for inner in folders if _counts(inner) and os.path.realpath(os.path.join(name, inner)) not in above
        ]
        yield from (Path(name, file) for file in files if _counts(file))


def _parents(name: str, folder: Path) -> Iterator[Path]:
    inner = Path(name).relative_to(folder)
    return (folder / parent for parent in inner.parents)


def _counts(name: str) -> bool:
    return not name.startswith(".") and name not in SKIPPED_FOLDERS and not name.endswith(SKIPPED_SUFFIXES)


def _digest_file(path: Path, size: int) -> str:
    if size <= MAX_WHOLE_BYTES:
        return digest_of(path)
    digest = hashlib.sha256(b"%d" % size)
    with path.open("rb") as file:
        for number in range(BLOCKS):
            file.seek((size - BLOCK_BYTES) * number // (BLOCKS - 1))
            digest.update(file.read(BLOCK_BYTES))
    return digest.hexdigest()
