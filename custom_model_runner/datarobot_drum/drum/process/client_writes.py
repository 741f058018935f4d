"""Writes to clients, within a limit of the time that a client may go without reading."""

import array
import errno
import fcntl
import logging
import math
import select
import socket
import struct
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

logger = logging.getLogger(__name__)

CHECKS = 4
"""How often within the timeout progress is looked for."""

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ClientStalled(ConnectionResetError):
    """A client did not read for too long; closing its connection resets it."""

    def __init__(self, timeout: float) -> None:
        super().__init__(errno.ECONNRESET, f"The client did not read for {timeout:g} s.")


class WriteProgress:
    """Tells a client that reads slowly from one that does not read.

    Args:
        timeout: seconds without progress after which the client counts as stalled.
    """

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeout = timeout
        self.interval = timeout / CHECKS
        self._clock = clock
        self._unread = math.inf
        self._deadline = clock() + timeout

    def is_stalled(self, unread: int) -> bool:
        """Return whether the bytes that wait for the client have not become fewer within the timeout."""
        if unread < self._unread:
            self._unread = unread
            self._deadline = self._clock() + self.timeout
        return self._clock() >= self._deadline


def send_all(connection: Any, data: Any, timeout: float, send: Callable[[Any], int]) -> None:
    """Send ``data`` with a limit of the time without progress, however long it takes altogether.

    Args:
        send: sends what fits at once, or raises ``BlockingIOError``.

    Raises:
        ClientStalled: the client did not read for ``timeout`` seconds.
    """
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[_send_some(connection, rest, timeout, send) :]


def _send_some(connection: Any, data: memoryview, timeout: float, send: Callable[[Any], int]) -> int:
    try:
        return send(data)
    except BlockingIOError:
        _wait_until_writable(connection, timeout)
        return 0


def _wait_until_writable(connection: Any, timeout: float) -> None:
    poll = select.poll()
    poll.register(connection, select.POLLOUT)
    progress = WriteProgress(timeout)
    progress.is_stalled(kernel_queue(connection))
    while not poll.poll(progress.interval * 1000):
        if progress.is_stalled(kernel_queue(connection)):
            log_stall(timeout)
            reset_on_close(connection)
            raise ClientStalled(timeout)


def kernel_queue(connection: Any) -> int:
    """Return the sent bytes that the client has not acknowledged; 0 where the system does not say.

    A socket becomes writable only when a third of its buffer is free, long after a slow client has read something.
    """
    queued = array.array("i", [0])
    with suppress(OSError, ValueError):
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, queued)
    return queued[0]


def reset_on_close(connection: Any) -> None:
    """Make the close of a connection drop what the client has not read; the kernel would keep it for minutes."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def log_stall(timeout: float) -> None:
    """Log that a client is cut off."""
    logger.warning("Closed a connection whose client did not read for %g s (DRUM_WRITE_TIMEOUT).", timeout)
