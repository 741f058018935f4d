"""Depth and size of a JSON text, counted before it is parsed."""

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.settings.limits import UNLIMITED
from datarobot_drum.drum.tabular.json_limits import check_json
from datarobot_drum.drum.tabular.json_text import parse_json
from tests.cases import each_case

DEPTH, ITEMS = "DRUM_MAX_JSON_DEPTH", "DRUM_MAX_JSON_KEYS"

DOCUMENTS = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('ab\\"[]{},:\u2603'), max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def depth_of(document: Any) -> int:
    parts = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return 1 + max(map(depth_of, parts), default=0) if isinstance(document, dict | list) else 0


def items_of(document: Any) -> int:
    """Keys and items of all objects and lists; an empty one counts as one."""
    parts = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return max(1, len(parts)) + sum(map(items_of, parts)) if isinstance(document, dict | list) else 0


@given(DOCUMENTS, st.booleans())
def test_limits_of_exactly_the_document_accept_it_and_smaller_ones_reject_it(document: Any, ascii_only: bool) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "replace")
    depth, items = depth_of(document), items_of(document)
    check_json(body, replace(UNLIMITED, max_json_depth=depth, max_json_items=items))
    for size, name, parameter in ((depth, "max_json_depth", DEPTH), (items, "max_json_items", ITEMS)):
        if size > 1:
            with pytest.raises(UnprocessableInput, match=rf"\({parameter}\)"):
                check_json(body, replace(UNLIMITED, **{name: size - 1}))


@each_case(
    ("body", "parameter"),
    [
        (b"[" * 101, DEPTH),
        (b'{"a":' * 101, DEPTH),
        (b"[" + b"[]," * 1_000_000, ITEMS),
        (b"{" + b'"a":1,' * 1_000_000, ITEMS),
        (b'["' + b'","' * 1_000_000, ITEMS),
    ],
)
def test_text_without_end_is_rejected(body: bytes, parameter: str) -> None:
    with pytest.raises(UnprocessableInput, match=parameter):
        check_json(body, replace(UNLIMITED, max_json_depth=100, max_json_items=100_000))


def test_brackets_in_a_long_message_do_not_count() -> None:
    body = json.dumps({"messages": [{"content": '[[{"a": 1},\\' * 100_000}]}).encode()
    check_json(body, replace(UNLIMITED, max_json_depth=3, max_json_items=4))


@each_case("depth", [300, 600, 1020])
def test_a_deep_document_without_a_limit_is_parsed_or_rejected(depth: int) -> None:
    body = b'{"a":' * depth + b"1" + b"}" * depth
    with suppress(UnprocessableInput):
        parse_json(body, UNLIMITED)
