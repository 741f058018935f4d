"""HTTP by the byte, for requests that no client library would send."""

import re
import socket
from contextlib import suppress

from tests.processes import RunningServer

TIMEOUT = 20.0


def request_bytes(server: RunningServer, *lines: str | bytes, body: bytes = b"") -> bytes:
    """A request from its first line and header lines; ``Host`` and ``Connection: close`` are added."""
    head = [line if isinstance(line, bytes) else line.encode("latin-1") for line in lines]
    head += [b"Host: 127.0.0.1:%d" % server.port, b"Connection: close"]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def exchange(server: RunningServer, *pieces: bytes, half_close: bool = False) -> bytes:
    """Send the pieces, each in a packet of its own, and read the response.

    Empty when the server hung up without a word. With ``half_close`` the client says that it will send no more.
    """
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has heard enough; its response may wait to be read
        return receive(connection)


def receive(connection: socket.socket) -> bytes:
    """One response: as long as its head says, else all that comes until the server closes."""
    response = b""
    with suppress(ConnectionResetError):
        while not _is_whole(response) and (piece := connection.recv(65536)):
            response += piece
    return response


def _is_whole(response: bytes) -> bool:
    head, end, body = response.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


def status_of(response: bytes) -> int:
    """The status in the first line of ``response``."""
    return int(response.split(b" ", 2)[1])


def body_of(response: bytes) -> bytes:
    """What follows the head of ``response``."""
    return response.partition(b"\r\n\r\n")[2]
