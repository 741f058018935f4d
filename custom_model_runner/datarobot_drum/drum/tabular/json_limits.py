"""Check the depth and the size of a JSON text before it is parsed: an object takes many times its bytes of memory."""

import re

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.settings.limits import InputLimits

_TOKENS = re.compile(rb'"[^"]*"?|[\[{\]},]')


KEYS, CELLS = "DRUM_MAX_JSON_KEYS", "DRUM_MAX_JSON_CELLS"


def check_json(body: bytes, limits: InputLimits) -> None:
    """Reject a JSON text that is nested too deeply, or has too many keys and items. Invalid JSON is not detected.

    Raises:
        UnprocessableInput: it is over a limit.
    """
    _check(body, limits.max_json_depth, limits.max_json_items, KEYS)


def check_json_table(body: bytes, limits: InputLimits) -> None:
    """Reject the JSON text of a table as ``check_json`` does, with the limit of cells for that of keys.

    Raises:
        UnprocessableInput: it is over a limit.
    """
    _check(body, limits.max_json_depth, limits.max_json_cells, CELLS)


def check_cell_count(rows: int, columns: int, limits: InputLimits) -> None:
    """Reject a table with more cells than the limit: records with different keys have more cells than values.

    Raises:
        UnprocessableInput: it has.
    """
    if limits.max_json_cells and rows * columns > limits.max_json_cells:
        raise _too_many_items(limits.max_json_cells, CELLS)


def count_rows_at_most(content: bytes) -> int:
    """Return an upper bound of the rows of a small JSON text, which is close for records and rows."""
    containers = max(content.count(b"{"), content.count(b"["), 1)
    if content.lstrip()[:1] == b"[":
        return containers
    return max(content.count(b",") + 1, content.count(b"\n") + 1, containers)


def _check(body: bytes, depth: int, items: int, parameter: str) -> None:
    # Most texts have few brackets and commas, those in strings included.
    brackets = body.count(b"[") + body.count(b"{")
    is_flat = not depth or brackets <= depth
    is_small = not items or brackets + body.count(b",") <= items
    if not (is_flat and is_small):
        _check_tokens(body, depth, items, parameter)


def _check_tokens(body: bytes, max_depth: int, max_items: int, parameter: str) -> None:
    depth = items = strings = 0
    without_escapes = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    for found in _TOKENS.finditer(without_escapes):
        token = found[0][:1]
        if token == b'"':
            strings += 1
        elif token in b"[{":
            depth += 1
            items += 1
        elif token in b"]}":
            depth -= 1
        else:
            items += 1
        if max_depth and depth > max_depth:
            raise UnprocessableInput(f"The JSON is nested more than {max_depth} levels deep (DRUM_MAX_JSON_DEPTH).")
        # In a valid text each item has at most two strings: a key and a value.
        if max_items and (items > max_items or strings > 2 * max_items + 2):
            raise _too_many_items(max_items, parameter)


def _too_many_items(limit: int, parameter: str) -> UnprocessableInput:
    what = "keys and items" if parameter == KEYS else "cells"
    return UnprocessableInput(f"The JSON has more than {limit} {what} ({parameter}).")
