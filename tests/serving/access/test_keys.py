"""API keys: where a request holds one, which are valid, and files that change."""

import hmac
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.serving.access.keys import RELOAD_SECONDS, KeyRing, sent_keys
from datarobot_drum.drum.settings.access import AccessSettings
from tests.cases import each_case

FIRST, SECOND = "first-key-of-the-tests", "second-key-of-the-tests"
VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=",")


class Clock:
    """Seconds that a test passes on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def ring_of(file: Path, clock: Callable[[], float]) -> KeyRing:
    return KeyRing(AccessSettings(keys_file=file), clock)


@each_case(
    ("authorization", "found"),
    [
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Bearer k", "k"),
        ("bearer k", "k"),
        ("BEARER \t k \t", "k"),
        ("Bearer k k", "k k"),
        ("Bearerk", None),
        ("Basic k", None),
        ("k", None),
        ("Bearer k,Bearer k", "k,Bearer k"),
        ("Basic x,Bearer k", None),
    ],
)
def test_authorization_holds_a_key_after_bearer(authorization: str | None, found: str | None) -> None:
    expected = {} if found is None else {"authorization": found}
    assert sent_keys({"authorization": authorization}.get) == expected


@given(st.text(), st.text())
def test_any_headers_are_parsed_and_never_match_without_a_key(authorization: str, api_key: str) -> None:
    ring = KeyRing(AccessSettings(keys=(FIRST,)))
    for key in sent_keys({"authorization": authorization, "x-api-key": api_key}.get).values():
        assert key == key.strip(" \t") != ""
        assert (ring.find(key) is not None) == (key == FIRST)


@given(st.text(VISIBLE, min_size=1), st.sampled_from(["Bearer ", "bearer  ", " BEARER\t "]))
def test_every_key_is_found_in_both_headers(key: str, scheme: str) -> None:
    ring = KeyRing(AccessSettings(keys=(key, FIRST)))
    is_token = scheme.strip() != "BEARER"  # a tab does not separate the scheme
    found = sent_keys({"authorization": scheme + key, "x-api-key": f" {key}"}.get)
    assert found["x-api-key"] == key
    assert found.get("authorization") == (key if is_token else None)
    assert ring.find(key) is not None


@given(st.text(VISIBLE, min_size=2))
def test_a_part_of_a_key_is_none(key: str) -> None:
    ring = KeyRing(AccessSettings(keys=(key,)))
    assert ring.find(key[:-1]) is None
    assert ring.find(key + key[-1]) is None
    assert ring.find(key.swapcase()) is None or key.swapcase() == key


def test_every_valid_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare_digest = hmac.compare_digest

    def compare(first: bytes, second: bytes) -> bool:
        compared.append((first, second))
        return compare_digest(first, second)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    ring = KeyRing(AccessSettings(keys=(FIRST, SECOND)))
    for key in (FIRST, SECOND, "wrong", FIRST[:-1], "x" * 60_000):
        compared.clear()
        ring.find(key)
        assert len(compared) == 2
        assert {len(digest) for pair in compared for digest in pair} == {32}


def test_keys_are_not_kept_as_text() -> None:
    assert FIRST not in repr(vars(KeyRing(AccessSettings(keys=(FIRST,)))))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "keys"
    file.write_text(f"# old\n{FIRST}\n")
    ring = ring_of(file, clock)
    file.write_text(f"{SECOND}\n")
    assert ring.find(FIRST) and not ring.find(SECOND)
    clock.now += RELOAD_SECONDS
    assert ring.find(SECOND) and not ring.find(FIRST)


def test_a_link_to_another_file_is_followed(tmp_path: Path) -> None:
    """Kubernetes changes a secret that way."""
    clock = Clock()
    for name, key in (("one", FIRST), ("two", SECOND)):
        (tmp_path / name).write_text(key)
    link = tmp_path / "keys"
    link.symlink_to("one")
    ring = ring_of(link, clock)
    (tmp_path / "new").symlink_to("two")
    os.replace(tmp_path / "new", link)
    clock.now += RELOAD_SECONDS
    assert ring.find(SECOND) and not ring.find(FIRST)


@each_case("content", [None, b"", b"# no key\n", b"two keys\n", b"\xff\xfe", b"x" * 70_000])
def test_a_file_without_keys_leaves_the_former_keys_valid(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    clock, file = Clock(), tmp_path / "keys"
    file.write_text(FIRST)
    ring = ring_of(file, clock)
    file.unlink() if content is None else file.write_bytes(content)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            clock.now += RELOAD_SECONDS
            assert ring.find(FIRST)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "The former API keys remain valid." in caplog.text
    file.write_text(SECOND)
    clock.now += RELOAD_SECONDS
    assert ring.find(SECOND)
