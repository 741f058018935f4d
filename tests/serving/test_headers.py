import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.serving.headers import Headers

NAMES = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=12)
VALUES = st.text(st.characters(codec="latin-1"), max_size=12)


@given(NAMES, VALUES)
def test_header_is_found_in_any_case(name: str, value: str) -> None:
    headers = Headers([(name, value)])
    for spelling in (name, name.lower(), name.upper(), name.title()):
        assert spelling in headers
        assert headers[spelling] == headers.get(spelling) == value


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_headers_map_all_received_fields(fields: list[tuple[str, str]]) -> None:
    headers = Headers(fields)
    assert len(headers) == len(dict(headers)) == len({name.lower() for name, _ in fields})
    assert all(headers[name] == value for name, value in headers.items())
    assert all(value in headers[name] for name, value in fields)
    assert Headers(headers.items()) == headers


def test_header_names_are_listed_in_title_case() -> None:
    assert dict(Headers([("x-request-ID", "1"), ("HOST", "h")])) == {"X-Request-Id": "1", "Host": "h"}


def test_repeated_headers_are_joined() -> None:
    assert Headers([("Accept", "a"), ("accept", "b"), ("ACCEPT", "c")])["Accept"] == "a,b,c"


def test_missing_header_is_none_or_key_error() -> None:
    headers = Headers([("a", "1")])
    assert headers.get("b") is None and "b" not in headers
    with pytest.raises(KeyError):
        headers["b"]


def test_headers_are_a_dict() -> None:
    headers = Headers([("x-one", "1")])
    assert isinstance(headers, dict)
    assert json.dumps(headers) == '{"X-One": "1"}'
