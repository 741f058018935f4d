"""Large bodies, sent in chunks: a row of input, then blank lines, which a csv reader skips."""

import asyncio
from collections.abc import Iterator
from enum import Enum

from tests.resilience.connections import CSV, Connection, Response, post_headers, rows
from tests.resilience.resource_usage import resident_memory

CHUNK = 256 * 1024
_BLANK = (b" " * 4095 + b"\n") * (CHUNK // 4096)
_FORM = b'--limit\r\nContent-Disposition: form-data; name="X"; filename="x.csv"\r\nContent-Type: text/csv\r\n\r\n'
_FORM_END = b"\r\n--limit--\r\n"


class Sent(Enum):
    """How a body is sent."""

    CHUNKED = "chunked"
    WHOLE = "with its length"
    FORM = "chunked form"


def chunks_of(x: int, size: int) -> Iterator[bytes]:
    """Yield one row, and blank lines up to ``size`` bytes."""
    row = rows(x).encode()
    yield row
    for _ in range((size - len(row)) // CHUNK):
        yield _BLANK
    yield _BLANK[: (size - len(row)) % CHUNK]


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
    body = chunks_of(x, size)
    if sent is Sent.WHOLE:
        yield from body
        return
    for piece in [_FORM, *body, _FORM_END] if sent is Sent.FORM else body:
        if piece:
            yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


class MemoryGrowth:
    """Sampler of the resident memory of a process, on an event loop; a context manager."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.start = resident_memory(pid)
        self.samples: list[int] = []

    @property
    def max_bytes(self) -> int:
        """Return the largest growth in bytes."""
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
