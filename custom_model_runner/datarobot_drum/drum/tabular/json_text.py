"""Parse JSON without losing anything: repeated keys are errors, and integers are exact at any size.

orjson keeps the last of repeated keys, and reads integers beyond 64 bits as floats. Texts that may have either are
parsed again with the standard library. So are the tokens ``NaN`` and ``Infinity``, which JSON does not have and Python
writes: ``NaN`` is null.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import orjson

from datarobot_drum.drum.error_text import shortened
from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.settings.limits import InputLimits
from datarobot_drum.drum.tabular.json_limits import check_json_table

_KEY = re.compile(rb'"[ \t\n\r]*:')
_BEFORE_NUMBERS = b"-[: \t\r\n"
_SAME_DIGITS = bytes.maketrans(b"123456789" + _BEFORE_NUMBERS, b"0" * 9 + b"," * len(_BEFORE_NUMBERS))
_LONG_INTEGER = b"," + b"0" * 19
_NAN = {"NaN": None, "Infinity": float("inf"), "-Infinity": float("-inf")}
_MAX_REASON = 200

Parse = Callable[[bytes], Any]


def parse_json(body: bytes, limits: InputLimits) -> Any:
    """Parse one JSON document.

    Raises:
        UnprocessableInput: it is invalid, has an object with a repeated key, or is over a limit.
    """
    check_json_table(body, limits)
    return _parse(body, orjson.loads, _parse_exactly)


def parse_json_lines(body: bytes, limits: InputLimits) -> list[Any]:
    """Parse one JSON document per line; empty lines are skipped.

    Raises:
        UnprocessableInput: as ``parse_json``.
    """
    check_json_table(body, limits)
    lines = [line for line in body.split(b"\n") if line.strip()]
    documents: list[Any] = _parse(
        body, lambda _: [orjson.loads(line) for line in lines], lambda _: _parse_lines_exactly(lines)
    )
    return documents


def is_json_lines(body: bytes) -> bool:
    """Return True if the first line of several is a whole JSON object or array."""
    first, line_end, rest = body.lstrip().partition(b"\n")
    if not line_end or not rest.strip():
        return False
    try:
        return isinstance(orjson.loads(first), dict | list)
    except orjson.JSONDecodeError:
        return False


def _parse(body: bytes, parse: Parse, parse_exactly: Parse) -> Any:
    is_valid = True
    try:
        document = parse(body)
        if _is_exact(body, document):
            return document
    except (orjson.JSONDecodeError, RecursionError):  # without a limit of depth, counting keys may nest too deeply
        is_valid = False
    try:
        document = parse_exactly(body)
        if not is_valid:
            json.dumps(document, ensure_ascii=False).encode()  # half of a surrogate pair fails
    except _RepeatedKey as error:
        raise UnprocessableInput(f"The JSON has an object with the key {error.key!r} twice.") from error
    except (ValueError, RecursionError) as error:
        raise UnprocessableInput(f"The JSON is invalid: {shortened(str(error), _MAX_REASON)}.") from error
    return document


def _is_exact(body: bytes, document: Any) -> bool:
    """Return True if the text surely has no repeated key, and no integer beyond 64 bits."""
    return _has_unique_keys(body, document) and _LONG_INTEGER not in body.translate(_SAME_DIGITS)


def _has_unique_keys(body: bytes, document: Any) -> bool:
    """Return True if the document has as many keys as the text: parsing drops all but the last of equal ones."""
    colons = body.count(b":")
    if colons == _count_record_keys(document):
        return True
    keys = _count_keys(document)
    return keys in (colons, len(_KEY.findall(body)))


def _count_record_keys(document: Any) -> int:
    """Return the number of keys of records, and of the objects that contain them."""
    if type(document) is not dict:
        return sum(map(len, document)) if type(document) is list and set(map(type, document)) == {dict} else 0
    return len(document) + sum(_count_record_keys(value) for value in document.values() if type(value) in (list, dict))


def _count_keys(value: Any) -> int:
    kind = type(value)
    if kind is dict:
        return len(value) + sum(_count_keys(item) for item in value.values() if type(item) in (dict, list))
    return sum(_count_keys(item) for item in value if type(item) in (dict, list)) if kind is list else 0


class _RepeatedKey(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = shortened(key, _MAX_REASON)


def _parse_exactly(text: bytes) -> Any:
    return json.loads(text.decode("utf-8"), object_pairs_hook=_to_dict, parse_constant=_NAN.__getitem__)


def _parse_lines_exactly(lines: list[bytes]) -> list[Any]:
    documents: list[Any] = []
    try:
        documents.extend(map(_parse_exactly, lines))
    except ValueError as error:
        raise ValueError(f"row {len(documents) + 1}: {error}") from error
    return documents


def _to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names: set[str] = set()
        for name, _ in pairs:
            if name in names:
                raise _RepeatedKey(name)
            names.add(name)
    return found
