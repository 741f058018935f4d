"""The deadline within which a client must send its request.

The thread of a connection blocks in reads that gather 64 KiB. A timeout of each read would never catch a client that
sends a byte now and then, so the deadline is checked at the socket.
"""

import io
import socket
import time
from collections.abc import Callable
from typing import Any

from datarobot_drum.drum.serving.body.progress import MIN_RATE


class DeadlineReader(io.RawIOBase):
    """A raw stream over a socket with a deadline of ``timeout`` seconds, and one more for every ``MIN_RATE`` bytes."""

    def __init__(self, connection: socket.socket, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._timeout = timeout
        self._started = clock()
        self._received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes.

        Raises:
            TimeoutError: the deadline has passed.
        """
        left = self._started + self._timeout + self._received / MIN_RATE - self._clock()
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


def read_with_deadline(connection: socket.socket, timeout: float) -> io.BufferedReader:
    """Return a file that reads from ``connection`` and raises ``TimeoutError`` when the client is too slow."""
    return io.BufferedReader(DeadlineReader(connection, timeout))
