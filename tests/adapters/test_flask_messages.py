"""The body of a WSGI request as an extension reads it."""

import io
from typing import Any

from datarobot_drum.drum.flask.messages import ReplayableInput


class Chunks(io.RawIOBase):
    """A body that arrives three bytes at a time."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._content.readinto(memoryview(buffer)[:3])


def test_read_spans_chunks_and_is_short_at_the_end_only() -> None:
    body = ReplayableInput(Chunks(b"0123456789"))
    assert [body.read(5), body.read(0), body.read(4), body.read(5), body.read(5)] == [b"01234", b"", b"5678", b"9", b""]


def test_rest_and_lines_are_read_whole_after_a_part() -> None:
    body = ReplayableInput(Chunks(b"one\ntwo\nthree"))
    assert (body.read(2), body.readline(), body.read()) == (b"on", b"e\n", b"two\nthree")


def test_everything_is_read_again_after_a_rewind() -> None:
    body = ReplayableInput(Chunks(b"0123456789"))
    body.read(4)
    body.rewind()
    assert body.read() == b"0123456789"
