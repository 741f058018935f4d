"""How long a client may take to send its request.

The thread of a connection blocks in reads that gather 64 KiB, so a limit on each packet would never catch a client that
sends a byte now and then. The limit lies where the bytes come in.
"""

import io
import socket
import time
from collections.abc import Callable
from typing import Any

from datarobot_drum.drum.serving.body.progress import MIN_RATE


class DeadlineReader(io.RawIOBase):
    """What comes in over a connection, within ``patience`` seconds and one more for every ``MIN_RATE`` bytes."""

    def __init__(self, connection: socket.socket, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._patience = patience
        self._began = clock()
        self._received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes.

        Raises:
            TimeoutError: the client has used up its time.
        """
        left = self._began + self._patience + self._received / MIN_RATE - self._clock()
        if left <= 0:
            raise TimeoutError("The request came too slowly.")
        former = self._connection.gettimeout()
        self._connection.settimeout(left)
        try:
            count = self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(former)
        self._received += count
        return count


def patient_input(connection: socket.socket, patience: float) -> io.BufferedReader:
    """A file that reads from ``connection`` and raises ``TimeoutError`` when its client is too slow."""
    return io.BufferedReader(DeadlineReader(connection, patience))
