"""Recognise an ONNX file; read its class names and operators, which ONNX Runtime does not expose.

Unneeded fields, such as weights, are skipped by their lengths. Field numbers are those of ``onnx.proto``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from datarobot_drum.drum.artifact_predictors.protobuf import read_fields, read_varint

Names = tuple[str, ...]

_MODEL_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})
_MODEL_GRAPH, _MODEL_OPSETS = 7, 8
_MODEL_FIRST_BYTE = b"\x08"
"""Key of the version number, which every writer puts first."""

_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INTS, _ATTRIBUTE_STRINGS = 1, 8, 9
_TENSOR_STRINGS, _TENSOR_INT64, _TENSOR_NAME = 6, 7, 8

_MAX_READ_BYTES = 1 << 20
"""Maximum bytes of a tensor or attribute with class names; those of forests and weights are larger."""


def is_onnx(path: Path) -> bool:
    """Return True for a protocol buffer that has an ONNX model's fields and no others."""
    try:
        with path.open("rb") as file:
            if file.read(1) != _MODEL_FIRST_BYTE:
                return False
            end = file.seek(0, os.SEEK_END)
            file.seek(0)
            numbers = {number for number, _, _ in read_fields(file, end)}
    except (OSError, ValueError):
        return False
    return {_MODEL_GRAPH, _MODEL_OPSETS} <= numbers <= _MODEL_FIELDS


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
    for number, start, length in read_fields(file, end):
        if number != _MODEL_GRAPH:
            continue
        file.seek(start)
        for inner, offset, size in read_fields(file, start + length):
            if inner == _GRAPH_NODE:
                yield from _node_producers(file, offset, size)


def _node_producers(file: BinaryIO, start: int, length: int) -> Iterator[tuple[str, tuple[str, str]]]:
    texts: dict[int, list[str]] = {_NODE_INPUT: [], _NODE_OUTPUT: [], _NODE_OPERATOR: []}
    has_link = False
    file.seek(start)
    for number, offset, size in list(read_fields(file, start + length)):
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
    for number, start, length in read_fields(file, end):
        if number != _MODEL_GRAPH:
            continue
        file.seek(start)
        for inner, offset, size in read_fields(file, start + length):
            if inner == _GRAPH_NODE:
                nodes += _node_names(file, offset, size)
            elif inner == _GRAPH_INITIALIZER and size <= _MAX_READ_BYTES:
                tensors += _tensor_names(_read(file, offset, size))
    return nodes, tensors


def _node_names(file: BinaryIO, start: int, length: int) -> list[Names]:
    """Return the values of a node's attributes ``classlabels_...``; large attributes are skipped."""
    file.seek(start)
    attributes = [
        (offset, size)
        for number, offset, size in read_fields(file, start + length)
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
    fields = read_fields(BytesIO(content), len(content))
    return tuple(content[at : at + size].decode("utf-8", "replace") for number, at, size in fields if number == wanted)


def _integers(content: bytes, wanted: int) -> Names:
    """Return the integers of a field, packed or repeated."""
    found: list[str] = []
    for number, start, length in read_fields(BytesIO(content), len(content)):
        if number == wanted:
            packed = BytesIO(content[start : start + length])
            while packed.tell() < length:
                found.append(str(_signed(read_varint(packed))))
    return tuple(found)


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
