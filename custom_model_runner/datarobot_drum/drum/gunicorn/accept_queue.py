"""The connections in the accept queue when sync workers stop: gunicorn would reset them."""

import socket
import time
from contextlib import suppress
from typing import Any

from gunicorn.workers.sync import SyncWorker

from datarobot_drum.drum.process.sockets import accept_pending

FIRST_REQUEST_SECONDS = 1.0
"""How long a connection that was open before the listener closed may take to send its request."""


def serve_accept_queue(worker: Any) -> None:
    """Stop listening in this worker, then serve the pending connections; no effect for other worker classes."""
    if not isinstance(worker, SyncWorker):
        return
    pending = [connection for listener in worker.sockets for connection in accept_pending(listener)]
    for listener in worker.sockets:
        listener.close()
    deadline = time.monotonic() + FIRST_REQUEST_SECONDS
    for connection in pending:
        with connection, suppress(OSError):  # the client is silent or has disconnected
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            connection.recv(1, socket.MSG_PEEK)
            connection.settimeout(None)
            worker.handle(connection, connection, connection.getpeername())
