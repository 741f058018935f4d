"""gunicorn's gevent worker with limits for requests; each connection has a greenlet, so none blocks another."""

from typing import Any

from gunicorn.workers.ggevent import GeventWorker

from datarobot_drum.drum.gunicorn.client_connection import ClientConnection
from datarobot_drum.drum.gunicorn.worker import LimitedWorker


class GeventConnection(ClientConnection):
    """A connection over a socket of gevent, which waits in spite of ``MSG_DONTWAIT``, but not with a timeout of 0."""

    def send_now(self, data: memoryview) -> int:
        former = self.raw_socket.gettimeout()
        self.raw_socket.settimeout(0.0)
        try:
            return self.raw_socket.send(data)
        finally:
            self.raw_socket.settimeout(former)


class LimitedGeventWorker(LimitedWorker, GeventWorker):  # type: ignore[misc]
    """A gevent worker with limits of the time that a client takes."""

    connection_class = GeventConnection

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        try:
            connection = self.to_limited(client)
        except OSError:  # the client has disconnected
            client.close()
            return
        super().handle(listener, connection, addr)
