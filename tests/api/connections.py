"""Raw HTTP over sockets, for requests that no client library sends."""

import re
import socket
from contextlib import suppress

from tests.processes import RunningServer

TIMEOUT = 20.0


def request_bytes(server: RunningServer, *lines: str | bytes, body: bytes = b"") -> bytes:
    """Build a request from its first line and header lines; add ``Host`` and ``Connection: close``."""
    head = [line if isinstance(line, bytes) else line.encode("latin-1") for line in lines]
    head += [b"Host: 127.0.0.1:%d" % server.port, b"Connection: close"]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def exchange(server: RunningServer, *pieces: bytes, half_close: bool = False) -> bytes:
    """Send the pieces, each in a packet of its own, and read the response.

    Empty if the server closed the connection without one. With ``half_close`` the client shuts down its sending side.
    """
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server has closed its side; its response may still be there to read
        return receive(connection)


def receive(connection: socket.socket) -> bytes:
    """Read one response: up to its ``Content-Length``, else until the server closes."""
    response = b""
    with suppress(ConnectionResetError):
        while not _is_complete(response) and (piece := connection.recv(65536)):
            response += piece
    return response


def _is_complete(response: bytes) -> bool:
    head, end, body = response.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


def status_of(response: bytes) -> int:
    """Return the status of ``response``."""
    return int(response.split(b" ", 2)[1])


def body_of(response: bytes) -> bytes:
    """Return the body of ``response``."""
    return response.partition(b"\r\n\r\n")[2]
