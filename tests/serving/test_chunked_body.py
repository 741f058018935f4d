"""Chunked bodies are decoded alike however their bytes arrive."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.serving.chunked_body import ChunkedBody, is_framing_too_large
from tests.cases import each_case


def decode(data: bytes, step: int) -> bytes:
    """Decode ``data`` of which ``step`` bytes arrive at a time, and then the end of the connection."""
    stream = io.BytesIO(data)
    return ChunkedBody(lambda: stream.read(step)).read()


@given(st.lists(st.binary(min_size=1, max_size=50)), st.integers(1, 100))
def test_decoded_chunks_are_the_data(chunks: list[bytes], step: int) -> None:
    encoded = b"".join(b"%x;a=b\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nA: b\r\n\r\n"
    assert decode(encoded, step) == b"".join(chunks)


@given(st.integers(1, 40), st.binary(max_size=30))
def test_bytes_behind_the_body_are_not_part_of_it(step: int, rest: bytes) -> None:
    assert decode(b"5\r\nhello\r\n0\r\n\r\n" + rest, step) == b"hello"


@each_case("step", [1, 3, 1000])
@each_case("data", [b"5\r\nhel", b"5\r\nhello\r\n", b"5\nhello\r\n0\r\n\r\n", b"x\r\n", b"0\r\nA\r\n\r\n", b""])
def test_malformed_or_unfinished_body_raises(data: bytes, step: int) -> None:
    with pytest.raises(OSError):
        decode(data, step)


def test_endless_trailer_raises() -> None:
    with pytest.raises(OSError):
        decode(b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 100_000, 1000)


def test_small_chunks_are_not_taken_for_framing() -> None:
    assert decode(b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n", 65_536) == b"a" * 100_000
    assert not is_framing_too_large(500_000, 100_000)
