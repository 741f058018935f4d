"""gunicorn's sync worker for clients that are slow: it handles a request once the request has arrived.

gunicorn's own sync worker handles one connection at a time, from before its first byte. A connection that stays silent
(a browser's spare one, a load balancer's, a port scan) would block all requests and probes behind it.
"""

import errno
import os
import selectors
import socket
import time
from contextlib import suppress
from types import FrameType
from typing import Any, NamedTuple

from gunicorn.workers.sync import SyncWorker

from datarobot_drum.drum.gunicorn.client_connection import ClientConnection
from datarobot_drum.drum.gunicorn.worker import LimitedWorker
from datarobot_drum.drum.serving.request_head import HEAD_SECONDS, HeadTimeout

FIRST_REQUEST_SECONDS = 1.0
"""Seconds in which a connection that was open when the worker stops may send the first byte of its request."""

PAUSE_SECONDS = 0.05
"""Seconds for a request before another connection is accepted; most come in one or two packets."""

MAX_CONNECTIONS = 512
"""Connections whose requests a worker waits for; with more, it closes the oldest."""

POLL_SECONDS = 0.5
"""Seconds between two checks of their deadlines."""


class _Client(NamedTuple):
    connection: ClientConnection
    address: Any
    listener: Any


class BufferingSyncWorker(LimitedWorker, SyncWorker):  # type: ignore[misc]
    """A sync worker that waits for the requests of several connections, and handles one after the other.

    Requests still run one at a time, in the main thread. A worker accepts connections only while it handles no
    request, so idle workers get them.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._waiting: dict[_Client, None] = {}
        self._check_at = 0.0
        self._is_listening = True
        self._is_stopping = False
        self._replace_by = float("inf")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._is_stopping = True
        super().handle_exit(sig, frame)

    def init_process(self) -> None:
        self._selector = selectors.DefaultSelector()  # after the fork: the workers must not share it
        super().init_process()

    def run(self) -> None:
        if self.cfg.is_ssl:  # the records of a handshake are not a request
            super().run()
            return
        self._selector.register(self.PIPE[0], selectors.EVENT_READ)
        for listener in self.sockets:
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, listener)
        while self.alive or self._has_late_requests():
            self.notify()
            self._handle_next(self.timeout or POLL_SECONDS)
            if not self.is_parent_alive():
                break

    def finish(self, pending: list[socket.socket]) -> None:
        """Stop listening, then serve the requests that are arriving, also on the ``pending`` connections.

        A silent connection is closed after a second, a slow one at its deadline.
        """
        self._is_listening = False
        for listener in self.sockets:
            with suppress(KeyError):  # the worker has not run, or without the selector
                self._selector.unregister(listener)
            listener.close()
        for connection in pending:
            with suppress(OSError):  # the client has disconnected
                self._start(_Client(self.to_limited(connection), connection.getpeername(), connection))
        silent_until = time.monotonic() + FIRST_REQUEST_SECONDS
        while self._waiting:
            self._handle_next(POLL_SECONDS / 5)
            if time.monotonic() > silent_until:
                self._close_silent()

    def _has_late_requests(self) -> bool:
        """Return whether a worker that is to be replaced (max_requests) goes on: a request has arrived in part."""
        if self._is_stopping or all(client.connection.is_silent for client in self._waiting):
            return False
        self._replace_by = min(self._replace_by, time.monotonic() + HEAD_SECONDS)
        return time.monotonic() < self._replace_by

    def _handle_next(self, timeout: float) -> None:
        """Wait for connections and what they send, and handle the first request that has arrived."""
        for key, _ in self._selector.select(min(timeout, POLL_SECONDS) if self._waiting else timeout):
            if key.data is None:
                _drain_pipe(self.PIPE[0])
            elif self._start_or_continue(key.data):
                break  # a heartbeat is due before the next one
        if self._waiting and time.monotonic() > self._check_at:
            self._check_at = time.monotonic() + POLL_SECONDS
            self._close_late()

    def _start_or_continue(self, source: Any) -> bool:
        """Accept from a listener, or read from a client that waits; return whether a request was handled."""
        if not isinstance(source, _Client):
            client = self._accept(source)
            return client is not None and self._start(client)
        if source not in self._waiting:
            return False
        try:
            has_arrived = source.connection.receive_ahead()
        except OSError:
            self._close(source)
            return False
        if has_arrived:
            self._forget(source)
            self._handle(source)
        return has_arrived

    def _accept(self, listener: Any) -> _Client | None:
        try:
            connection, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE) and self._waiting:
                self._close(next(iter(self._waiting)))
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):  # another worker was faster
                raise
            return None
        try:
            return _Client(self.to_limited(connection), address, listener)
        except OSError:  # the client has disconnected
            connection.close()
            return None

    def _start(self, client: _Client) -> bool:
        """Handle the request of a new connection and return True, or wait for it together with others."""
        try:
            has_arrived = client.connection.receive_within(PAUSE_SECONDS)
        except OSError:
            client.connection.close()
            return False
        if has_arrived:
            self._handle(client)
            return True
        if len(self._waiting) >= MAX_CONNECTIONS:
            self._close(next(iter(self._waiting)))
        self._waiting[client] = None
        self._selector.register(client.connection, selectors.EVENT_READ, client)
        return False

    def _handle(self, client: _Client) -> None:
        # gunicorn asks the listener for the server's address; a connection has the same one.
        self.handle(client.listener if self._is_listening else client.connection, client.connection, client.address)

    def _close_late(self) -> None:
        """Reject the requests that did not arrive in time; without the end of its body the app rejects it."""
        for client in [client for client in self._waiting if client.connection.deadline.time_left <= 0]:
            self._forget(client)
            if client.connection.has_head:
                self._handle(client)
            else:
                self.handle_error(None, client.connection, client.address, HeadTimeout())
                client.connection.close()

    def _close_silent(self) -> None:
        for client in [client for client in self._waiting if client.connection.is_silent]:
            self._close(client)

    def _close(self, client: _Client) -> None:
        self._forget(client)
        client.connection.close()

    def _forget(self, client: _Client) -> None:
        self._selector.unregister(client.connection)
        del self._waiting[client]


def _drain_pipe(descriptor: int) -> None:
    """Read what signals have written to wake the worker."""
    with suppress(BlockingIOError):
        os.read(descriptor, 4096)
