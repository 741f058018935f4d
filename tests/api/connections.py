"""HTTP by the byte, for requests that no client library would send."""

import socket
from collections.abc import Iterable

from tests.processes import RunningServer

TIMEOUT = 20.0


def request_bytes(server: RunningServer, *lines: str | bytes, body: bytes = b"") -> bytes:
    """A request from its first line and header lines; ``Host`` and ``Connection: close`` are added."""
    head = [line if isinstance(line, bytes) else line.encode("latin-1") for line in lines]
    head += [b"Host: 127.0.0.1:%d" % server.port, b"Connection: close"]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def exchange(server: RunningServer, *pieces: bytes, half_close: bool = False) -> bytes:
    """Send the pieces, each in a packet of its own, and read until the server closes the connection.

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
            pass  # it has heard enough; its answer may wait to be read
        return b"".join(_received(connection))


def _received(connection: socket.socket) -> Iterable[bytes]:
    try:
        while piece := connection.recv(65536):
            yield piece
    except ConnectionResetError:
        return


def status_of(answer: bytes) -> int:
    """The status of the first answer in ``answer``."""
    return int(answer.split(b" ", 2)[1])


def body_of(answer: bytes) -> bytes:
    """What follows the head of the last answer in ``answer``."""
    return answer.rpartition(b"\r\n\r\n")[2]
