"""Parsers from text to a plain value, one for each kind of setting.

Each raises ValueError with text that completes a sentence about the setting: "must be a number".
"""

import math
import re
from collections.abc import Callable, Mapping
from enum import Enum
from importlib.util import find_spec
from pathlib import PurePath
from typing import Any

_OFF = frozenset({"", "0", "false", "no", "off"})
_UNITS = {"": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(KB|MB|GB|)", re.IGNORECASE)
_MAX_NUMBER_LENGTH = 40

PARQUET = ".parquet"
RECORD_ENDINGS = (".jsonl", ".ndjson", PARQUET)
"""Endings of the files of the request log; each names a format."""


class Kind(str, Enum):
    """How the text of a setting is parsed."""

    STRING = "string"
    CHOICE = "choice"
    INTEGER = "integer"
    INTEGERS = "integers"
    NUMBER = "number"
    SECONDS = "seconds"
    SIZE = "size"
    BOOLEAN = "boolean"
    LABELS = "labels"
    RECORD_FILE = "record_file"

    @property
    def is_list(self) -> bool:
        """True if the value is a tuple."""
        return self in (Kind.INTEGERS, Kind.LABELS)


def parse_value(kind: Kind, raw: Any) -> Any:
    """Return the plain value of ``raw``, which is text or comes from YAML or JSON.

    Raises:
        ValueError: ``raw`` does not fit the kind.
    """
    return _PARSERS[kind](raw)


def parse_boolean(raw: Any) -> bool:
    """Return False for empty, 0, false, no and off (any case), True for everything else."""
    return str(raw).strip().lower() not in _OFF


def parse_number(raw: Any) -> float:
    """Return a finite number, given as one or as ASCII text."""
    text = "" if isinstance(raw, bool) else str(raw).strip()
    if len(text) > _MAX_NUMBER_LENGTH or not _NUMBER.fullmatch(text):
        raise ValueError("must be a number")
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("must be a finite number")
    return number


def parse_integer(raw: Any) -> int:
    """Return a whole number; 4.0 is one."""
    number = parse_number(raw)
    if not number.is_integer():
        raise ValueError("must be a whole number")
    return int(number)


def parse_size(raw: Any) -> int:
    """Return a size in bytes: a whole number, or a number with KB, MB or GB (powers of 1024)."""
    text = "" if isinstance(raw, bool) else str(raw).strip()
    match = _SIZE.fullmatch(text) if len(text) <= _MAX_NUMBER_LENGTH else None
    if match is None:
        raise ValueError("must be a size: bytes, or a number with KB, MB or GB, such as 100MB")
    amount, unit = match.groups()
    size = float(amount) * _UNITS[unit.upper()]
    if not unit and not size.is_integer():
        raise ValueError("must be a whole number of bytes")
    # Rounded up: a fraction of a byte must not become 0, which means no limit.
    return math.ceil(size)


def _parse_string(raw: Any) -> str:
    if not isinstance(raw, str | int | float):
        raise ValueError("must be text")
    return str(raw)


def _parse_integers(raw: Any) -> tuple[int, ...]:
    return tuple(map(parse_integer, _parse_string(raw).replace(",", " ").split()))


def _parse_labels(raw: Any) -> tuple[str, ...]:
    return tuple(_parse_string(raw).split())


def _parse_record_file(raw: Any) -> str:
    text = _parse_string(raw).strip()
    ending = PurePath(text).suffix.lower()
    if text and (ending not in RECORD_ENDINGS or "://" in text):
        raise ValueError("must be a path of this machine that ends in .jsonl, .ndjson or .parquet")
    if ending == PARQUET and find_spec("pyarrow") is None:
        raise ValueError("needs the extra arrow for Parquet: pip install 'datarobot-drum[arrow]', or end it in .jsonl")
    return text


_PARSERS: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.STRING: _parse_string,
    Kind.CHOICE: _parse_string,
    Kind.INTEGER: parse_integer,
    Kind.INTEGERS: _parse_integers,
    Kind.NUMBER: parse_number,
    Kind.SECONDS: parse_number,
    Kind.SIZE: parse_size,
    Kind.BOOLEAN: parse_boolean,
    Kind.LABELS: _parse_labels,
    Kind.RECORD_FILE: _parse_record_file,
}
