"""Read files that ``joblib``, ``gzip`` and similar writers have compressed, recognised by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import mmap
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from datarobot_drum.drum.imports import import_from_string

DECOMPRESSION_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)

_LONGEST_MAGIC = 6
_LZ4 = b"\x04\x22\x4d\x18"
_CHUNK_BYTES = 1 << 16
_MAX_CONTENT_BYTES = 1 << 26


class _ZlibFile(io.RawIOBase):
    """A zlib stream, which the standard library cannot open as a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._stream = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = b""
        while not content and not self._stream.eof:
            compressed = self._stream.unconsumed_tail or self._file.read(_CHUNK_BYTES)
            if not compressed:
                raise EOFError("The zlib stream is truncated.")
            content = self._stream.decompress(compressed, len(buffer))
        buffer[: len(content)] = content
        return len(content)


@contextmanager
def open_decompressed(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, decompressed if it is compressed.

    Raises:
        OSError: the file cannot be read. Reading raises one of ``DECOMPRESSION_ERRORS`` for a damaged file.
    """
    with path.open("rb") as file:
        yield _decompressor(file)


@contextmanager
def open_content(path: Path) -> Iterator[bytes | mmap.mmap]:
    """Yield the whole content for a search: mapped, or at most its first 64 MiB if it is compressed.

    A damaged compressed file is read up to the damage.

    Raises:
        ValueError: the file is empty.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        stream = _decompressor(file)
        if stream is not file:
            yield _read_start(stream)
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


def read_head(path: Path, size: int) -> bytes:
    """Return the first bytes of the decompressed content; nothing for an unreadable file."""
    try:
        with open_decompressed(path) as file:
            return file.read(size)
    except DECOMPRESSION_ERRORS:
        return b""


def _read_start(stream: Any) -> bytes:
    content = bytearray()
    with suppress(*DECOMPRESSION_ERRORS):
        # read1 returns what it has, where read fails at the end of a truncated file.
        while len(content) < _MAX_CONTENT_BYTES and (chunk := stream.read1(_CHUNK_BYTES)):
            content += chunk
    return bytes(content)


def _decompressor(file: BinaryIO) -> BinaryIO:
    """Return a file of the decompressed content; the file itself if it is not compressed."""
    magic = file.read(_LONGEST_MAGIC)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if magic.startswith(b"BZh"):
        return cast(BinaryIO, bz2.BZ2File(file))
    if magic.startswith((b"\xfd7zXZ\0", b"\x5d\0\0")):
        return cast(BinaryIO, lzma.LZMAFile(file))
    if magic.startswith((b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")):
        return cast(BinaryIO, io.BufferedReader(_ZlibFile(file)))
    return _open_lz4(file) if magic.startswith(_LZ4) else file


def _open_lz4(file: BinaryIO) -> BinaryIO:
    """Return the decompressed content if the package ``lz4`` is installed, else the file itself."""
    try:
        return cast(BinaryIO, import_from_string("lz4.frame:LZ4FrameFile")(file))
    except ModuleNotFoundError:
        return file
