"""Keep-alive connections that sent one request and stay idle, as those of load balancers."""

import socket
from types import TracebackType

from benchmarks.compare.responses import InvalidResponse, Response

BLOCK = 1 << 16


class IdleConnections:
    """A context manager that opens ``count`` connections one after the other, each with one request.

    Raises:
        InvalidResponse: the server rejects one, or does not respond 200 on it.
    """

    def __init__(self, port: int, request: bytes, count: int, timeout: float) -> None:
        self._port, self._request, self._timeout = port, request, timeout
        self._count = count
        self._connections: list[socket.socket] = []

    def __enter__(self) -> "IdleConnections":
        try:
            for _ in range(self._count):
                self._open()
        except OSError as error:
            self._close()
            raise InvalidResponse(f"After {len(self._connections):,} idle connections: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def count_open(self) -> int:
        """Return the number of connections that the server has not closed."""
        return sum(map(_is_open, self._connections))

    def _open(self) -> None:
        connection = socket.create_connection(("127.0.0.1", self._port), self._timeout)
        self._connections.append(connection)
        connection.sendall(self._request)
        response = Response()
        while not response.feed(data := connection.recv(BLOCK)):
            if not data:
                raise ConnectionError("the server closed the connection")
        if response.status != 200 or response.closes:
            raise ConnectionError(f"the response is {response.status}{' and closes' * response.closes}")

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
