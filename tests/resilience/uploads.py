"""Large bodies, sent piece by piece: a row of input, then as many blank lines as it takes (a csv reader skips them)."""

import asyncio
from collections.abc import Iterator
from enum import Enum

from tests.resilience.connections import CSV, Connection, Response, post_headers, rows
from tests.resilience.resource_usage import resident_memory

PIECE = 256 * 1024
_BLANK = (b" " * 4095 + b"\n") * (PIECE // 4096)
_FORM = b'--limit\r\nContent-Disposition: form-data; name="X"; filename="x.csv"\r\nContent-Type: text/csv\r\n\r\n'
_FORM_END = b"\r\n--limit--\r\n"


class Sent(Enum):
    """How a body is sent."""

    CHUNKED = "chunked"
    WHOLE = "with its length"
    FORM = "chunked form"


def pieces_of(x: int, size: int) -> Iterator[bytes]:
    """One row, and blank lines up to ``size`` bytes."""
    row = rows(x).encode()
    yield row
    for _ in range((size - len(row)) // PIECE):
        yield _BLANK
    yield _BLANK[: (size - len(row)) % PIECE]


async def upload(port: int, x: int, size: int, sent: Sent) -> Response:
    """Send a body of ``size`` bytes and wait for the response."""
    connection = await Connection.open(port)
    try:
        await connection.send(_head(size, sent))
        for piece in _framed(x, size, sent):
            await connection.send(piece)
        return await connection.receive()
    finally:
        connection.close()


def _head(size: int, sent: Sent) -> bytes:
    if sent is Sent.WHOLE:
        return post_headers(CSV, f"Content-Length: {size}")
    media_type = "Content-Type: multipart/form-data; boundary=limit" if sent is Sent.FORM else CSV
    return post_headers(media_type, "Transfer-Encoding: chunked")


def _framed(x: int, size: int, sent: Sent) -> Iterator[bytes]:
    body = pieces_of(x, size)
    if sent is Sent.WHOLE:
        yield from body
        return
    for piece in [_FORM, *body, _FORM_END] if sent is Sent.FORM else body:
        if piece:
            yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


class MemoryGrowth:
    """Watches the resident memory of a process from an event loop; a context manager."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.start = resident_memory(pid)
        self.samples: list[int] = []

    @property
    def max_bytes(self) -> int:
        """Bytes by which it grew at most."""
        return max(self.samples, default=self.start) - self.start

    async def __aenter__(self) -> "MemoryGrowth":
        self._watching = asyncio.ensure_future(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watching.cancel()
        self.samples.append(resident_memory(self._pid))

    async def _watch(self) -> None:
        while True:
            self.samples.append(resident_memory(self._pid))
            await asyncio.sleep(0.02)
