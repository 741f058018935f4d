"""A client's TLS socket as gunicorn reads it: with the limits of a plain one, its handshake included."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from datarobot_drum.drum.gunicorn.client_connection import ClientConnection
from datarobot_drum.drum.process.tls import TlsContexts

T = TypeVar("T")


def secured(connection: Any, contexts: TlsContexts) -> ssl.SSLSocket:
    """Return a connection with TLS. Its handshake is part of the first read, so that it has the deadline of that.

    Raises:
        OSError: the client has disconnected.
    """
    return contexts.current().wrap_socket(connection, server_side=True, do_handshake_on_connect=False)


class TlsConnection(ClientConnection):
    """A connection over a TLS socket, of gevent or not. It takes no flags, so a timeout of 0 keeps it from blocking."""

    scheme = "https"

    def receive_now(self, size: int) -> bytes:
        """Read what is there, up to its end: what has been decrypted does not make the socket readable again."""
        data = bytearray()
        while len(data) < size:
            try:
                chunk = self._without_blocking(self.raw_socket.recv, size - len(data))
            except BlockingIOError:
                if not data:
                    raise
                break
            if not chunk:
                break
            data += chunk
        return bytes(data)

    def send_now(self, data: memoryview) -> int:
        count = self._without_blocking(self.raw_socket.send, data)
        if not count:  # gevent returns 0 instead
            raise BlockingIOError
        return count

    def shutdown(self, how: int) -> None:
        self._end_session()
        super().shutdown(how)

    def close(self) -> None:
        self._end_session()
        self.raw_socket.close()

    def _end_session(self) -> None:
        """Send the end of the TLS session: without it, the client takes the response for a truncated one."""
        if not self._is_stalled:
            with suppress(OSError, ValueError):  # there is no session yet, or not any more
                self._without_blocking(self.raw_socket.unwrap)  # type: ignore[attr-defined]

    def _without_blocking(self, function: Callable[..., T], *arguments: Any) -> T:
        former = self.raw_socket.gettimeout()
        self.raw_socket.settimeout(0.0)
        try:
            return function(*arguments)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error
        finally:
            self.raw_socket.settimeout(former)
