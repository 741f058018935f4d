"""Parsing of ``--address`` and ``URL_PREFIX``."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.address import normalize_prefix, parse_address
from tests.cases import each_case
from tests.settings.building import build

pytestmark = pytest.mark.usefixtures("clean_environment")


@each_case(
    ("address", "expected"),
    [
        ("localhost:8080", ("localhost", 8080)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        (":8080", ("0.0.0.0", 8080)),
        ("8080", ("0.0.0.0", 8080)),
        ("[::1]:8080", ("::1", 8080)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
        ("host:0", ("host", 0)),
        (" host:65535 ", ("host", 65535)),
    ],
)
def test_parse_address_returns_host_and_port(address: str, expected: tuple[str, int]) -> None:
    assert parse_address(address) == expected


@each_case(
    "address",
    ["", "host", "host:x", "host:65536", "host:-1", "::1", "[::1]", "http://host:80", "a b:80"],
)
def test_parse_address_rejects_other_text(address: str) -> None:
    with pytest.raises(UsageError, match=r"host:port, :port, \[ipv6\]:port"):
        parse_address(address)


@given(st.text())
def test_parse_address_returns_or_raises_usage_error_for_any_text(text: str) -> None:
    try:
        host, port = parse_address(text)
    except UsageError:
        return
    assert host
    assert 0 <= port <= 65535


@each_case(
    ("prefix", "expected"),
    [("", ""), ("/", ""), ("a", "/a"), ("/a/b/", "/a/b"), ("//a///b//", "/a/b"), (" /a ", "/a")],
)
def test_url_prefix_is_normalized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str, expected: str) -> None:
    monkeypatch.setenv("URL_PREFIX", prefix)
    assert build(tmp_path).url_prefix == expected


@each_case("prefix", ["/a/../b", "/{x}", "/<x>", "/a b", "/a?b", "/a#b"])
def test_normalize_prefix_rejects_other_text(prefix: str) -> None:
    with pytest.raises(UsageError, match="URL_PREFIX"):
        normalize_prefix(prefix)
