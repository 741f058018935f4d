"""A file over a client's socket that raises when the client does not read."""

import io
import socket
from functools import partial
from typing import Any

from datarobot_drum.drum.process.client_writes import send_all


class TimedWriter(io.BufferedIOBase):
    """An unbuffered stream over a blocking socket.

    Args:
        timeout: seconds without progress; see ``send_all``.
    """

    def __init__(self, connection: socket.socket, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Send all bytes.

        Raises:
            ClientStalled: the client does not read.
        """
        send_all(self._connection, data, self._timeout, partial(_send_now, self._connection))
        return len(data)


def _send_now(connection: socket.socket, data: Any) -> int:
    return connection.send(data, socket.MSG_DONTWAIT)
