"""Find the decoded size of compressed Arrow record batches before they are decoded.

A batch names the size of each of its buffers, and each compressed buffer starts with its decoded size (Arrow columnar
format, "Serialization and Interprocess Communication"). PyArrow shows neither, so their flatbuffers are read here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.settings.limits import InputLimits

FREE_BATCH_BYTES = 64 * 1024 * 1024
"""Decoded bytes of a batch up to which its compression ratio is not checked."""

_FILE_MAGIC_BYTES = 8
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3


def check_batches(file: BinaryIO, limits: InputLimits, *, is_stream: bool) -> None:
    """Check all batches of an Arrow file or stream; only their compressed bytes are read.

    Raises:
        UnprocessableInput: a batch is too large, or compressed too much.
        pyarrow.ArrowException, struct.error: the file is no Arrow file.
    """
    file.seek(0 if is_stream else _FILE_MAGIC_BYTES)  # an Arrow file is a stream between its magic and its footer
    reader = pa.ipc.MessageReader.open_stream(pa.PythonFile(file, mode="r"))
    for message in reader:
        compressed, decoded = _sizes(message)
        if limits.max_record_batch_size and decoded > limits.max_record_batch_size:
            raise UnprocessableInput(
                f"A record batch of the Arrow file has {decoded} bytes when decoded; the limit is "
                f"{limits.max_record_batch_size} (DRUM_MAX_RECORD_BATCH_SIZE). Write the file in smaller batches."
            )
        ratio = limits.max_compression_ratio
        if ratio and decoded > FREE_BATCH_BYTES and decoded > ratio * compressed:
            raise UnprocessableInput(
                f"A record batch of the Arrow file is compressed more than {ratio} times (DRUM_MAX_COMPRESSION_RATIO). "
                "Write the file in smaller batches."
            )


def _sizes(message: Any) -> tuple[int, int]:
    """Return the bytes of the buffers of a message, as they are and decoded; zeros for a schema."""
    metadata, body = memoryview(message.metadata), message.body
    root = _unsigned(metadata, 0)
    kind = _field(metadata, root, 1)
    header = _follow(metadata, _field(metadata, root, 2))
    if not kind or metadata[kind] not in (_DICTIONARY_BATCH, _RECORD_BATCH):
        return 0, 0
    batch = header if metadata[kind] == _RECORD_BATCH else _follow(metadata, _field(metadata, header, 1))
    is_compressed = bool(_field(metadata, batch, 3))
    content = memoryview(body)
    compressed = decoded = 0
    for offset, length in _buffers(metadata, _follow(metadata, _field(metadata, batch, 2))):
        declared = struct.unpack_from("<q", content, offset)[0] if is_compressed and length >= 8 else -1
        compressed += length
        decoded += length if declared < 0 else declared
    return compressed, decoded


def _buffers(metadata: memoryview, vector: int) -> Iterator[tuple[int, int]]:
    for position in range(_unsigned(metadata, vector)):
        yield struct.unpack_from("<qq", metadata, vector + 4 + 16 * position)


def _field(metadata: memoryview, table: int, number: int) -> int:
    """Return the position of a field of a flatbuffer table; 0 if it is absent."""
    entries = table - struct.unpack_from("<i", metadata, table)[0]
    slot = 4 + 2 * number
    if slot >= struct.unpack_from("<H", metadata, entries)[0]:
        return 0
    offset: int = struct.unpack_from("<H", metadata, entries + slot)[0]
    return table + offset if offset else 0


def _follow(metadata: memoryview, position: int) -> int:
    return position + _unsigned(metadata, position)


def _unsigned(metadata: memoryview, position: int) -> int:
    number: int = struct.unpack_from("<I", metadata, position)[0]
    return number
