"""Recognise a csv without a header line, and put the missing line before it.

All readers then read the same bytes as with a header, so the result is the same. A client says that there is none with
``text/csv; header=absent`` (RFC 4180). Without that, a first line of numbers is no header if the model has names, none
of which is a number. For a model without names, different whole numbers are a header, and other numbers are rejected.
"""

from __future__ import annotations

import codecs
import csv
import io
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.tabular.column_hints import list_names
from datarobot_drum.drum.tabular.csv_text import read_first_record
from datarobot_drum.drum.tabular.decoded_text import find_codec
from datarobot_drum.drum.tabular.payload import BinaryFile, PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.text_columns import TextColumns

logger = logging.getLogger(__name__)

_HEAD_BYTES = 256
_NUMBER_START = re.compile(rb'[\s"]*(?:[-+.0-9]|\Z)')
"""The start of a line that may hold numbers only; most csv are recognised by their first character."""

_MARKS = {
    "utf-8-sig": {codecs.BOM_UTF8: "utf-8"},
    "utf-16": {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"},
    "utf-32": {codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF32_BE: "utf-32-be"},
}
"""Byte order marks, with the charset of what follows."""

_ORDER = "le" if sys.byteorder == "little" else "be"
_WITHOUT_MARK = {"utf-8-sig": "utf-8", "utf-16": f"utf-16-{_ORDER}", "utf-32": f"utf-32-{_ORDER}"}
_MAX_MARK = 4

_COUNT = re.compile(r"0|[1-9]\d*", re.ASCII)
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*", re.IGNORECASE | re.ASCII)


class PrefixedFile:
    """A file with other bytes before its own."""

    def __init__(self, prefix: bytes, file: BinaryFile, skipped: int = 0) -> None:
        self._prefix = prefix
        self._file = file
        self._skipped = skipped  # bytes of the file that the prefix replaces
        self._position = 0
        self.seek(0)

    def read(self, size: int = -1, /) -> bytes:
        head = self._head(len(self._prefix) if size < 0 else size)
        rest = self._file.read(-1 if size < 0 else size - len(head))
        return self._advanced(head + rest if head else rest)

    def readline(self, size: int = -1, /) -> bytes:
        head = self._head(len(self._prefix) if size < 0 else size)
        return self._advanced(head or self._file.readline(size))  # the prefix is one line

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            offset += len(self._prefix) - self._skipped + self._file.seek(0, io.SEEK_END)
        self._position = max(0, offset)
        self._file.seek(self._skipped + max(0, offset - len(self._prefix)))
        return self._position

    def tell(self) -> int:
        return self._position

    def fileno(self) -> int:
        """Return the descriptor of the file, for its size."""
        return self._file.fileno()  # type: ignore[attr-defined, no-any-return]  # only files of commands are asked

    def _head(self, size: int) -> bytes:
        return self._prefix[self._position : self._position + size]

    def _advanced(self, content: bytes) -> bytes:
        self._position += len(content)
        return content


def with_header(payload: StructuredPayload, columns: TextColumns | None = None) -> StructuredPayload:
    """Return the payload of a csv with a header line; the same one if it has a header.

    Args:
        columns: those of the model; None if none of them is known.

    Raises:
        UnprocessableInput: the number of columns is not that of the model, or a first line of numbers may be either.
    """
    if payload.format is not PayloadFormat.CSV or payload.has_header:
        return payload
    if payload.has_header is None and not _may_be_numbers(payload):
        return payload
    cells = _first_cells(payload)
    if payload.has_header is None and _is_header(cells, columns):
        return payload
    if not cells:
        return payload
    header = _write_header(_names_for(cells, columns))
    return replace(payload, file=_prefixed(payload, header), has_header=True)


def _may_be_numbers(payload: StructuredPayload) -> bool:
    """Return False if the first characters show that the first line has something else than numbers."""
    payload.file.seek(0)
    head = payload.file.read(_HEAD_BYTES)
    return bool(_NUMBER_START.match(head)) or not head[:4].isascii() or b"\0" in head


def _first_cells(payload: StructuredPayload) -> list[str]:
    """Return the cells of the first line; none if it cannot be read, as the reader explains better."""
    try:
        return next(csv.reader([read_first_record(payload).strip("\r\n")]), [])
    except (UnprocessableInput, csv.Error):
        return []


def _is_header(cells: Sequence[str], columns: TextColumns | None) -> bool:
    """Return True unless the first line holds data.

    Raises:
        UnprocessableInput: it may be either.
    """
    if not cells or not all(map(_NUMBER.fullmatch, cells)):
        return True
    names = None if columns is None else columns.names
    if names is not None:
        return any(_NUMBER.fullmatch(str(name)) for name in names)
    if len(set(cells)) == len(cells) and all(_COUNT.fullmatch(cell.strip()) for cell in cells):
        _warn_of_numbers_as_names()  # such as years, or the positions that pandas writes for a table without names
        return True
    raise UnprocessableInput(
        "The first line of the csv has numbers only, and the model does not know the names of its columns: is it a "
        "header? Send the names in the first line, or Content-Type text/csv; header=absent if there is no header, "
        "header=present if these numbers are names."
    )


@cache
def _warn_of_numbers_as_names() -> None:
    """Log once that whole numbers are taken as names of columns, as before there was a choice."""
    logger.warning(
        "The first line of a csv has whole numbers only. It is taken as the header, since the model does not know the "
        "names of its columns. Content-Type text/csv; header=absent states that there is no header."
    )


def _names_for(cells: Sequence[str], columns: TextColumns | None) -> Sequence[str]:
    """Return the names of the model for a csv without them, else the positions of the columns."""
    if columns is not None and (known := columns.names or columns.declared_names):
        if len(known) != len(cells):
            raise UnprocessableInput(
                f"The csv has no header, and {len(cells)} columns; the model takes {len(known)}, in this order: "
                f"{list_names([str(name) for name in known])}."
            )
        return [str(name) for name in known]
    return [str(position) for position in range(len(cells))]


def _write_header(names: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(names)
    return line.getvalue()


def _prefixed(payload: StructuredPayload, header: str) -> PrefixedFile:
    """Return the file with a header in its charset, after its byte order mark if it has one."""
    payload.file.seek(0)
    start = payload.file.read(_MAX_MARK)
    codec = find_codec(payload.charset).name
    marks = _MARKS.get(codec, {})
    mark = next((mark for mark in marks if start.startswith(mark)), b"")
    try:
        encoded = header.encode(marks.get(mark, _WITHOUT_MARK.get(codec, codec)))
    except UnicodeError as error:
        raise UnprocessableInput(
            f"The names of the model's columns cannot be written in {payload.charset}: send UTF-8."
        ) from error
    return PrefixedFile(mark + encoded, payload.file, len(mark))
