"""Read the wire format of protocol buffers, field by field, without a schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5


def read_fields(file: BinaryIO, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, offset and length of every field up to ``end``; the caller may seek in between.

    Raises:
        ValueError: the content is no protocol buffer.
    """
    offset = file.tell()
    while offset < end:
        file.seek(offset)
        key = read_varint(file)
        kind = key & 7
        if kind == VARINT:
            start = file.tell()
            read_varint(file)
            length = file.tell() - start
        else:
            length = read_varint(file) if kind == LENGTH_DELIMITED else {FIXED64: 8, FIXED32: 4}.get(kind, -1)
            start = file.tell()
        offset = start + length
        if length < 0 or offset > end:
            raise ValueError("no protocol buffer")
        yield key >> 3, start, length


def read_varint(file: BinaryIO) -> int:
    """Read an integer of variable length.

    Raises:
        ValueError: the content is no protocol buffer.
    """
    value = shift = 0
    while shift < 70:
        byte = file.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
    raise ValueError("no protocol buffer")
