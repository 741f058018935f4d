"""Read the class names and the operators in an ONNX file, which ONNX Runtime does not expose.

The reader parses the protocol buffer's wire format and skips unneeded fields, such as weights, by their lengths. Field
numbers are those of ``onnx.proto``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

Names = tuple[str, ...]

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INTS, _ATTRIBUTE_STRINGS = 1, 8, 9
_TENSOR_STRINGS, _TENSOR_INT64, _TENSOR_NAME = 6, 7, 8

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAX_READ_BYTES = 1 << 20
"""Maximum bytes of a tensor or attribute with class names; those of forests and weights are larger."""


def class_names(path: Path) -> tuple[Names, ...]:
    """Return all lists of class names in the graph, those of classifier nodes first; none for an unreadable file."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(0)
            nodes, tensors = _graph_names(file, end)
    except (OSError, ValueError):
        return ()
    return tuple(dict.fromkeys([*nodes, *tensors]))


def is_regressor_output(path: Path, output: str) -> bool:
    """Return True if a regressor computes the output, and nothing turns its values into probabilities."""
    try:
        with path.open("rb") as file:
            producers = dict(_producers(file, file.seek(0, os.SEEK_END)))
    except (OSError, ValueError):
        return False
    operator, source = producers.get(output, ("", ""))
    while operator in _COPYING_OPERATORS and source in producers:
        operator, source = producers.pop(source)
    return operator.endswith("Regressor")


_COPYING_OPERATORS = ("Cast", "Reshape", "Identity", "Flatten", "Squeeze")


def _producers(file: BinaryIO, end: int) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each output of the graph's nodes with its operator and the node's first input."""
    file.seek(0)
    for number, start, length in _fields(file, end):
        if number != _MODEL_GRAPH:
            continue
        file.seek(start)
        for inner, offset, size in _fields(file, start + length):
            if inner == _GRAPH_NODE:
                yield from _node_producers(file, offset, size)


def _node_producers(file: BinaryIO, start: int, length: int) -> Iterator[tuple[str, tuple[str, str]]]:
    texts: dict[int, list[str]] = {_NODE_INPUT: [], _NODE_OUTPUT: [], _NODE_OPERATOR: []}
    has_link = False
    file.seek(start)
    for number, offset, size in list(_fields(file, start + length)):
        if number in texts:
            texts[number].append(_read(file, offset, size).decode("utf-8", "replace"))
        elif number == _NODE_ATTRIBUTE:
            head = _read(file, offset, min(size, 64))
            has_link = has_link or (b"post_transform" in head and b"NONE" not in head)
    operator = "" if has_link else "".join(texts[_NODE_OPERATOR])
    for output in texts[_NODE_OUTPUT]:
        yield output, (operator, "".join(texts[_NODE_INPUT][:1]))


def _graph_names(file: BinaryIO, end: int) -> tuple[list[Names], list[Names]]:
    nodes: list[Names] = []
    tensors: list[Names] = []
    for number, start, length in _fields(file, end):
        if number != _MODEL_GRAPH:
            continue
        file.seek(start)
        for inner, offset, size in _fields(file, start + length):
            if inner == _GRAPH_NODE:
                nodes += _node_names(file, offset, size)
            elif inner == _GRAPH_INITIALIZER and size <= _MAX_READ_BYTES:
                tensors += _tensor_names(_read(file, offset, size))
    return nodes, tensors


def _fields(file: BinaryIO, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, offset and length of every field up to ``end``; the caller may seek in between.

    Raises:
        ValueError: the content is no protocol buffer.
    """
    offset = file.tell()
    while offset < end:
        file.seek(offset)
        key = _varint(file)
        kind = key & 7
        if kind == _VARINT:
            start = file.tell()
            _varint(file)
            length = file.tell() - start
        else:
            length = _varint(file) if kind == _LENGTH else {_FIXED64: 8, _FIXED32: 4}.get(kind, -1)
            start = file.tell()
        offset = start + length
        if length < 0 or offset > end:
            raise ValueError("no protocol buffer")
        yield key >> 3, start, length


def _node_names(file: BinaryIO, start: int, length: int) -> list[Names]:
    """Return the values of a node's attributes ``classlabels_...``; large attributes are skipped."""
    file.seek(start)
    attributes = [
        (offset, size)
        for number, offset, size in _fields(file, start + length)
        if number == _NODE_ATTRIBUTE and size <= _MAX_READ_BYTES
    ]
    return [names for offset, size in attributes if (names := _attribute_names(file, offset, size))]


def _attribute_names(file: BinaryIO, start: int, length: int) -> Names:
    file.seek(start)
    if b"classlabels" not in file.read(min(length, 64)):
        return ()
    content = _read(file, start, length)
    named = _texts(content, _ATTRIBUTE_NAME)
    if not named or not named[0].startswith("classlabels"):
        return ()
    return _texts(content, _ATTRIBUTE_STRINGS) or _integers(content, _ATTRIBUTE_INTS)


def _tensor_names(content: bytes) -> list[Names]:
    texts = _texts(content, _TENSOR_STRINGS)
    if texts:
        return [texts]
    is_named_so = any("classes" in name for name in _texts(content, _TENSOR_NAME))
    numbers = _integers(content, _TENSOR_INT64) if is_named_so else ()
    return [numbers] if numbers else []


def _texts(content: bytes, wanted: int) -> Names:
    fields = _fields(BytesIO(content), len(content))
    return tuple(content[at : at + size].decode("utf-8", "replace") for number, at, size in fields if number == wanted)


def _integers(content: bytes, wanted: int) -> Names:
    """Return the integers of a field, packed or repeated."""
    found: list[str] = []
    for number, start, length in _fields(BytesIO(content), len(content)):
        if number == wanted:
            packed = BytesIO(content[start : start + length])
            while packed.tell() < length:
                found.append(str(_signed(_varint(packed))))
    return tuple(found)


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)


def _varint(file: BinaryIO) -> int:
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


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
