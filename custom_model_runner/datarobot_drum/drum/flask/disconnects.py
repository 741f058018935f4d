"""Clients of a WSGI server that disconnect while their prediction runs."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from datarobot_drum.drum.serving.request_head import CONTINUE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SOCKETS = ("werkzeug.socket", "gunicorn.socket")
CLOSED, CLIENT_ENDED = 7, 8
"""The first byte of Linux's ``TCP_INFO``: the connection is reset, or the client has ended its sending side."""


class DisconnectWatch:
    """Tells whether the client of a request has closed its connection, when it is called.

    A client that has ended its sending side may still wait. An interim response makes a closed one send a reset.

    Args:
        may_probe: whether the thread that asks is the one that sends the response.
    """

    def __init__(self, environ: WSGIEnvironment, *, may_probe: bool) -> None:
        self._environ = environ
        self.may_probe = may_probe and environ.get("SERVER_PROTOCOL") == "HTTP/1.1"

    def __call__(self) -> bool:
        connection = next((self._environ[name] for name in SOCKETS if name in self._environ), None)
        if connection is None or not hasattr(socket, "TCP_INFO"):
            return False
        try:
            (state,) = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
            if state == CLIENT_ENDED and self.may_probe:
                self.may_probe = False
                getattr(connection, "raw_socket", connection).send(CONTINUE)
        except OSError:
            return True
        return bool(state == CLOSED)
