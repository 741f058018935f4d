"""Errors for missing columns: what is missing, what was found instead, and what the header looks like."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from datarobot_drum.drum.error_text import printable, shortened
from datarobot_drum.drum.tabular.content_detection import describe_text

MAX_LISTED = 10
MAX_NAME = 60
"""Maximum number of names in a message, and of characters of a name."""

MAX_HEADER = 10_000
"""Maximum number of characters of a name that are looked at."""

MAX_COMPARED = 10_000
"""Maximum number of names that are compared with those of the model."""

_SEPARATORS = {";": "';'", "\t": "a tab", "|": "'|'"}
_BLANKS = " \t\r\n\xa0\u200b\ufeff"
_NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)*|[.,]\d+)(e[-+]?\d+)?(\.\d+)?\s*", re.IGNORECASE)
"""A cell that is a number; pandas appends ``.1`` to the second of two equal names."""
_UNNAMED = re.compile(r"Unnamed: \d+")


def missing_columns_message(wanted: Sequence[str], found: Sequence[str]) -> str:
    """Return the message for samples that lack columns of the model.

    Args:
        wanted: all columns that the model needs.
        found: the columns of the samples, as the client named them.
    """
    header = _Header(_cut(wanted), _cut(found))
    missing = header.missing
    lacking = f"The samples lack {len(missing)} of the {len(wanted)} columns of the model: {list_names(missing)}"
    return f"{lacking}; found: {quote_names(found)}.{_first_hint(header, _CHECKS)}"


def wrong_width_message(width: int, found: Sequence[str]) -> str:
    """Return the message for samples with another number of columns than a model without column names takes."""
    header = _Header((), _cut(found))
    hint = _first_hint(header, (_other_content, _other_separator))
    return f"The samples have {len(found)} columns; the model takes {width}. Found: {quote_names(found)}.{hint}"


def _cut(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name[:MAX_HEADER] for name in names)


def _first_hint(header: _Header, checks: Sequence[Callable[[_Header], str]]) -> str:
    """Return what the first of the checks recognises, after a blank."""
    return next((f" {hint}" for check in checks if (hint := check(header))), "")


def list_names(names: Sequence[str]) -> str:
    """Return the first names of a model's columns, shortened, and the number of the others."""
    return _enumerate([printable(shortened(name, MAX_NAME)) for name in names[:MAX_LISTED]], len(names))


def quote_names(names: Sequence[str]) -> str:
    """Return the first names in quotes, shortened and with control characters escaped: they come from a client."""
    return _enumerate([_quote(name) for name in names[:MAX_LISTED]], len(names)) or "no columns"


def _enumerate(shown: Sequence[str], count: int) -> str:
    rest = count - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")


def _quote(name: str) -> str:
    return repr(shortened(name, MAX_NAME))


@dataclass(frozen=True)
class _Header:
    wanted: tuple[str, ...]
    found: tuple[str, ...]

    @cached_property
    def missing(self) -> list[str]:
        """The wanted names that were not found; LightGBM replaces blanks in names by underscores."""
        known = {*self.found, *(name.replace(" ", "_") for name in self.found)}
        return [name for name in self.wanted if name not in known]

    @property
    def shares_names(self) -> bool:
        return len(self.missing) < len(self.wanted)


def _other_content(header: _Header) -> str:
    """Recognise content that is no csv, such as JSON lines, by its first line."""
    if header.shares_names or not header.found:
        return ""
    return describe_text(",".join(header.found[:MAX_LISTED]))


def _other_separator(header: _Header) -> str:
    """Recognise a header that pandas has read as one name."""
    if len(header.found) != 1 or (header.wanted and not header.missing):
        return ""
    first = header.found[0]
    if "," in first:
        return "The whole header is in quotes: quote each name by itself, or none."
    for separator in (*_SEPARATORS, *sorted({letter for letter in first if not letter.isalnum()})):
        if separator in first and (separator in _SEPARATORS or _splits_into(first, separator, header.wanted)):
            name = _SEPARATORS.get(separator, repr(separator))
            return f"The columns seem to be separated by {name}: send the csv with commas."
    return ""


def _splits_into(text: str, separator: str, wanted: Sequence[str]) -> bool:
    return len(wanted) > 1 and {_without_quotes(name) for name in text.split(separator)}.issuperset(wanted)


def _missing_header(header: _Header) -> str:
    """Recognise a first line of data: numbers, or empty cells, and no name of the model."""
    if header.shares_names or any(map(_is_data, header.wanted)):
        return ""
    cells = sum(map(_is_data, header.found))
    if 2 * cells >= len(header.found) > 0 or (cells and len(header.found) == len(header.wanted)):
        return (
            "The first line looks like data: send the names of the columns in the first line, or Content-Type "
            "text/csv; header=absent."
        )
    return ""


def _is_data(name: str) -> bool:
    return bool(_NUMBER.fullmatch(name) or _UNNAMED.fullmatch(name) or not name.strip())


def _similar_names(header: _Header) -> str:
    """Recognise names that differ from those of the model in blanks, quotes, case or punctuation only."""
    if len(header.found) > MAX_COMPARED:
        return ""
    for what, normal in _NORMAL_FORMS.items():
        similar = {normal(name): name for name in reversed(header.found)}
        pairs = [(similar[normal(name)], name) for name in header.missing if normal(name) in similar]
        if pairs:
            shown = ", ".join(f"{_quote(found)} for {_quote(wanted)}" for found, wanted in pairs[:3])
            rest = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
            return f"Names differ in {what}: {shown}{rest}."
    return ""


def _without_blanks(name: str) -> str:
    return name.strip(_BLANKS)


def _without_quotes(name: str) -> str:
    return _without_blanks(_without_blanks(name).strip("\"'`\u201c\u201d\u2018\u2019"))


def _ignoring_case(name: str) -> str:
    return unicodedata.normalize("NFKC", _without_quotes(name)).casefold()


def _ignoring_punctuation(name: str) -> str:
    return "".join(filter(str.isalnum, _ignoring_case(name))) or name


_NORMAL_FORMS: dict[str, Callable[[str], str]] = {
    "a byte order mark": lambda name: name.removeprefix("\ufeff").removeprefix("\xef\xbb\xbf"),
    "blanks": _without_blanks,
    "quotes": _without_quotes,
    "upper and lower case": lambda name: _without_quotes(name).casefold(),
    "case, or in how letters are encoded": _ignoring_case,
    "punctuation": _ignoring_punctuation,
}
"""What names differ in, from the smallest difference on, with a function that removes it."""


def _repeated_names(header: _Header) -> str:
    repeated = list(_repeated(header))
    return f"The header names {quote_names(repeated)} more than once." if repeated else ""


def _repeated(header: _Header) -> Iterator[str]:
    """Yield the names that occur twice: pandas appends ``.1`` to the second one."""
    known = set(header.found)
    for name in header.found:
        first, dot, number = name.rpartition(".")
        if dot and number == "1" and first in known and name not in header.wanted:
            yield first


_CHECKS = (_other_content, _other_separator, _similar_names, _missing_header, _repeated_names)
