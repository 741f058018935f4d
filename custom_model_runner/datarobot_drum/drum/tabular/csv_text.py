"""Check the first lines of a csv before pandas reads it, and give equal column names different ones.

pandas takes time for each column of the header and of the first row, whatever the other rows hold. For equal or empty
column names its time is quadratic.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from itertools import count

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.settings.limits import InputLimits
from datarobot_drum.drum.tabular.decoded_text import DecodedText
from datarobot_drum.drum.tabular.payload import BinaryFile, StructuredPayload
from datarobot_drum.drum.tabular.table_limits import check_lines, check_width, file_size

MAX_UNCHECKED_BYTES = 2048
"""Size of a file that has too few columns for any of this to matter."""

MAX_UNCHECKED_COLUMNS = 1000
"""Columns of a header whose equal names pandas may handle."""

_MAX_QUOTES = 1_000_000
"""Runs of quotes in the first lines; the scan takes a step for each."""

_QUOTES = re.compile('"+')
_BLANK = " \t\r\n"
_MAX_BLANKS = 1_000_000
"""Blanks at the start of a line that are kept for the first name."""


def open_csv_text(payload: StructuredPayload) -> DecodedText:
    """Return the text of a csv from its start, for ``pandas.read_csv``.

    Raises:
        UnprocessableInput: there are more columns than the limit, the first row is wider than the header, or the text
            cannot be decoded. ``read`` of the text raises it for too many lines, too.
    """
    limits, file = payload.limits, payload.file
    size = file_size(file)
    file.seek(0)
    is_checked = size > min(limits.max_columns or size, MAX_UNCHECKED_BYTES)
    header = ("", 0)
    if is_checked:
        header = _check_first_lines(payload, limits)
        file.seek(0)
    is_limited = header[0] or (limits.max_rows and size > limits.max_rows)
    text = _LimitedText(payload, *header) if is_limited else DecodedText(file, payload.charset)
    text.has_fitting_row = is_checked
    return text


def read_first_record(payload: StructuredPayload) -> str:
    """Return the text of the first line that is not blank, with the line ends in its quoted cells.

    Raises:
        UnprocessableInput: it is longer or wider than the limits, or cannot be decoded.
    """
    payload.file.seek(0)
    return _Lines(payload.file, payload.charset).read_record(_Record(payload.limits), is_kept=True)


class _LimitedText(DecodedText):
    """The text of a csv up to the maximum number of lines, with another header in the place of its first characters."""

    def __init__(self, payload: StructuredPayload, header: str = "", replaced: int = 0) -> None:
        super().__init__(payload.file, payload.charset)
        self._header = header
        self._replaced = replaced
        self._max_rows = payload.limits.max_rows
        self._lines = 0

    def read(self, size: int = -1) -> str:
        text = super().read(size)
        while self._replaced and text:
            dropped = min(self._replaced, len(text))
            self._replaced -= dropped
            text = text[dropped:] or super().read(size)
        if self._header:
            self.head = text = self._header + text
            self._header = ""
        if self._max_rows:
            self._lines += text.count("\n")
            check_lines(self._lines - 1, self._max_rows)
        return text


def _check_first_lines(payload: StructuredPayload, limits: InputLimits) -> tuple[str, int]:
    """Return a header with unique names, and how many characters it replaces; an empty one if none is needed.

    Raises:
        UnprocessableInput: as ``open_csv_text``.
    """
    lines = _Lines(payload.file, payload.charset)
    header, row = _Record(limits), _Record(limits)
    header_text = lines.read_record(header, is_kept=True)
    length = lines.position
    lines.read_record(row)
    if row.fields > header.fields:
        raise UnprocessableInput(
            f"The csv could not be read: Expected {header.fields} fields in line 2, saw {row.fields}."
        )
    if header.fields <= MAX_UNCHECKED_COLUMNS:
        return "", 0
    names = _parse_line(header_text)
    unique = unique_names(names)
    return ("", 0) if unique == names else (_write_line(unique), length)


class _Lines:
    """The text of a csv, chunk by chunk, up to the end of its first records."""

    def __init__(self, file: BinaryFile, charset: str) -> None:
        self._text = DecodedText(file, charset)
        self._chunk = ""
        self._start = 0
        self.position = 0
        """Characters before the next record."""

    def read_record(self, record: _Record, *, is_kept: bool = False) -> str:
        """Read up to the end of the next record that is not blank; return its text if it is kept."""
        self._skip_blank_lines()
        kept: list[str] = []
        while self._fill():
            end = record.add(self._chunk, self._start)
            if is_kept:
                kept.append(self._chunk[self._start : end])
            self._advance(end)
            if record.has_ended:
                break
            if is_kept:
                record.check_length(self.position)
        return "".join(kept)

    def _skip_blank_lines(self) -> None:
        while self._fill():
            rest = self._chunk[self._start :]
            blank = len(rest) - len(rest.lstrip(_BLANK))
            self._advance(self._start + rest.rfind("\n", 0, blank) + 1)
            if blank < len(rest):
                return
            self._extend_blank_line()

    def _extend_blank_line(self) -> None:
        """Read on in a line that is blank so far: the blanks are part of a name, unless the whole line is blank."""
        line = self._chunk[self._start :]
        more = self._text.read() if len(line) <= _MAX_BLANKS else ""
        if more:
            self._chunk, self._start = line + more, 0
        else:
            self._advance(len(self._chunk))

    def _fill(self) -> bool:
        if self._start == len(self._chunk):
            self._chunk, self._start = self._text.read(), 0
        return bool(self._chunk)

    def _advance(self, end: int) -> None:
        self.position += end - self._start
        self._start = end


class _Record:
    """Counts the fields of one record as pandas splits it: a quote opens a cell only at its start."""

    def __init__(self, limits: InputLimits) -> None:
        self.fields = 1
        self.has_ended = False
        self._limits = limits
        self._at_start = True
        self._is_quoted = False
        self._has_odd_quote = False  # the last chunk ended in a quoted cell, after an odd number of quotes
        self._steps = 0

    def add(self, text: str, position: int) -> int:
        """Count up to the end of the record or of the text; return the position there."""
        line_end = -1
        while position < len(text):
            self._steps += 1
            if self._steps > _MAX_QUOTES:
                raise UnprocessableInput(f"The first lines of the csv have more than {_MAX_QUOTES} quotes.")
            if self._is_quoted:
                position = self._leave_quotes(text, position)
                continue
            if line_end < position:
                line_end = text.find("\n", position)
                line_end = len(text) if line_end < 0 else line_end
            position = self._count_plain(text, position, line_end)
            if self.has_ended:
                break
        check_width(self.fields, self._limits)
        return position

    def check_length(self, length: int) -> None:
        limit = self._limits.max_cell_size
        if limit and length > limit:
            raise UnprocessableInput(f"The header of the csv is longer than {limit} characters (DRUM_MAX_CELL_SIZE).")

    def _count_plain(self, text: str, position: int, line_end: int) -> int:
        """Count up to the next quote or the end of the line."""
        quote = text.find('"', position, line_end)
        end = line_end if quote < 0 else quote
        self.fields += text.count(",", position, end)
        if end > position:
            self._at_start = text[end - 1] == ","
        if quote < 0:
            self.has_ended = end < len(text)
            return end + self.has_ended
        if self._at_start:
            self._is_quoted, self._at_start = True, False
            return quote + 1
        run = _QUOTES.match(text, quote)
        return run.end() if run else quote + 1

    def _leave_quotes(self, text: str, position: int) -> int:
        """Skip to the end of a quoted cell: an odd number of quotes in a row."""
        if self._has_odd_quote and text[position] != '"':
            self._has_odd_quote = self._is_quoted = False
            return position
        run = _QUOTES.search(text, position)
        if run is None:
            return len(text)
        is_odd = bool((run.end() - run.start()) % 2) ^ self._has_odd_quote
        self._has_odd_quote = is_odd and run.end() == len(text)
        self._is_quoted = not is_odd or self._has_odd_quote
        return run.end()


def unique_names(names: Sequence[str]) -> list[str]:
    """Return the names that ``pandas.read_csv`` gives: ``a.1`` for a second ``a``, ``Unnamed: 0`` for an empty one."""
    has_unnamed = not all(names)
    found = [name or f"Unnamed: {position}" for position, name in enumerate(names)] if has_unnamed else names
    distinct = set(found)
    if len(distinct) == len(found):
        return list(found)
    if has_unnamed or any(_looks_numbered(name, distinct) for name in distinct):
        return _names_without_clashes(names)
    numbers = {name: count() for name in distinct}
    return [f"{name}.{number}" if (number := next(numbers[name])) else name for name in found]


def _looks_numbered(name: str, others: Container[str]) -> bool:
    """Return whether a name may be the numbered form of another: ``a.1`` beside ``a``."""
    stem, _, number = name.rpartition(".")
    return number.isdecimal() and stem in others


def _names_without_clashes(names: Sequence[str]) -> list[str]:
    """Return the names that pandas gives in a header such as ``a,a,a.1``."""
    found = [name or f"Unnamed: {position}" for position, name in enumerate(names)]
    taken = Counter(found)
    seen: dict[str, int] = defaultdict(int)
    named = [position for position, name in enumerate(names) if name]
    unnamed = [position for position, name in enumerate(names) if not name]
    for position in (*named, *unnamed):
        original = name = found[position]
        count = seen[name]
        while count > 0:
            seen[original] = count + 1
            name = f"{original}.{count}"
            count = count + 1 if taken[name] > 0 else seen[name]
        taken[original] -= 1
        taken[name] += 1
        found[position] = name
        seen[name] = count + 1
    return found


def _parse_line(text: str) -> list[str]:
    try:
        return next(csv.reader([text]), [])
    except csv.Error as error:
        raise UnprocessableInput(f"The csv could not be read: its header: {error}.") from error


def _write_line(names: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(names)
    return line.getvalue()
