"""HTTP connections whose bytes and end a test controls, many at once."""

import asyncio
import json
import socket
import struct
from dataclasses import dataclass
from typing import Any

TIMEOUT = 60.0
"""Seconds until any single response has to arrive."""

CSV = "Content-Type: text/csv"


@dataclass(frozen=True)
class Response:
    """One response; the names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def prediction(self) -> int:
        """Return the only prediction of a response with status 200."""
        assert self.status == 200, self
        (value,) = self.json()["predictions"]
        return int(value)


class Connection:
    """One connection to a server on this machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    @property
    def is_over(self) -> bool:
        """Return whether the server has closed the connection, as far as is known."""
        return self._reader.at_eof() or self._writer.is_closing()

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()

    async def receive(self) -> Response:
        """The next response.

        Raises:
            OSError, EOFError: the connection ended before or within it.
        """
        return await asyncio.wait_for(self._receive(), TIMEOUT)

    async def _receive(self) -> Response:
        head = await self._reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return Response(int(first.split()[1]), headers, body)

    async def request(self, *pieces: bytes) -> Response:
        """Send a request and wait for its response."""
        await self.send(*pieces)
        return await self.receive()

    def abort(self) -> None:
        """Reset the connection."""
        sock = self._writer.get_extra_info("socket")
        if self._writer.is_closing() or sock.fileno() < 0:
            return  # the server has closed it already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        """Close the connection; the server reads the end of the stream."""
        self._writer.close()


def get(path: str, *lines: str) -> bytes:
    """Return a request without a body."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def post(content: bytes | str, *lines: str) -> bytes:
    """Return a prediction request with ``Content-Length``."""
    body = content.encode() if isinstance(content, str) else content
    return post_headers(f"Content-Length: {len(body)}", *lines) + body


def post_headers(*lines: str) -> bytes:
    """Return request line and headers of a prediction request."""
    return "\r\n".join(["POST /predict/ HTTP/1.1", "Host: localhost", *(lines or (CSV,)), "", ""]).encode()


async def request_once(port: int, request: bytes) -> Response:
    """Send a request over a connection of its own."""
    connection = await Connection.open(port)
    try:
        return await connection.request(request)
    finally:
        connection.close()


async def request_each(port: int, requests: list[bytes]) -> list[Response]:
    """Send requests at the same time, each over a connection of its own."""
    return list(await asyncio.gather(*(request_once(port, request) for request in requests)))


def rows(x: int, **columns: float) -> str:
    """Return one row of input for the controlled model."""
    names = ["x", *columns]
    values = [x, *columns.values()]
    return ",".join(names) + "\n" + ",".join(map(str, values)) + "\n"
