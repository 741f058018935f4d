"""Check the depth and the size of a JSON text before it is parsed: an object takes many times its bytes of memory."""

import re

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.settings.limits import InputLimits

_TOKENS = re.compile(rb'"[^"]*"?|[\[{\]},]')


def check_json(body: bytes, limits: InputLimits) -> None:
    """Reject a JSON text that is nested too deeply, or has too many keys and items. Invalid JSON is not detected.

    Raises:
        UnprocessableInput: it is over a limit.
    """
    depth, items = limits.max_json_depth, limits.max_json_items
    # Most texts have few brackets and commas, those in strings included.
    brackets = body.count(b"[") + body.count(b"{")
    is_flat = not depth or brackets <= depth
    is_small = not items or brackets + body.count(b",") <= items
    if not (is_flat and is_small):
        _check_tokens(body, depth, items)


def _check_tokens(body: bytes, max_depth: int, max_items: int) -> None:
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
            raise UnprocessableInput(f"The JSON has more than {max_items} keys and items (DRUM_MAX_JSON_KEYS).")
