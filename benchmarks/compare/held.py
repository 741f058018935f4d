"""Connections that have asked once and are then kept without a word, as balancers keep them."""

import socket
from types import TracebackType

from benchmarks.compare.answers import Answer, BrokenAnswer

BLOCK = 1 << 16


class Held:
    """A context manager: ``count`` connections, opened one after the other, all answered once.

    Raises:
        BrokenAnswer: the server refuses one, or does not answer 200 on it.
    """

    def __init__(self, port: int, request: bytes, count: int, patience: float) -> None:
        self._port, self._request, self._patience = port, request, patience
        self._count = count
        self._connections: list[socket.socket] = []

    def __enter__(self) -> "Held":
        try:
            for _ in range(self._count):
                self._open()
        except OSError as error:
            self._close()
            raise BrokenAnswer(f"After {len(self._connections):,} idle connections: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def count_open(self) -> int:
        """How many of them the server has not closed."""
        return sum(map(_is_open, self._connections))

    def _open(self) -> None:
        connection = socket.create_connection(("127.0.0.1", self._port), self._patience)
        self._connections.append(connection)
        connection.sendall(self._request)
        answer = Answer()
        while not answer.feed(data := connection.recv(BLOCK)):
            if not data:
                raise ConnectionError("the server closed the connection")
        if answer.status != 200 or answer.closes:
            raise ConnectionError(f"the answer is {answer.status}{' and the last' * answer.closes}")

    def _close(self) -> None:
        for connection in self._connections:
            connection.close()


def _is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False
