"""The deadline within which a client must send its request, for servers that read from sockets in a thread.

A timeout of each read would never catch a client that sends a byte now and then.
"""

import math
import socket
import time
from collections.abc import Callable

from datarobot_drum.drum.serving.body.progress import MIN_RATE
from datarobot_drum.drum.serving.request_head import HeadTimeout


class ReadDeadline:
    """The deadline of request line and headers, and after ``start_body`` that of the body.

    Args:
        head_timeout: seconds for request line and headers; 0 for no limit.
        body_timeout: seconds for the body, plus one for every ``MIN_RATE`` bytes; 0 for no limit.
    """

    def __init__(
        self, head_timeout: float, body_timeout: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._head_timeout = head_timeout or math.inf
        self._body_timeout = body_timeout or math.inf
        self._clock = clock
        self.start_head()

    def start_head(self) -> None:
        """Start the deadline of a request, such as the next one of a connection."""
        self.in_body = False
        self._ends = self._clock() + self._head_timeout
        self.received = 0

    def start_body(self) -> None:
        """Start the deadline of a body: the headers are complete."""
        self.in_body = True
        self._ends = self._clock() + self._body_timeout
        self.received = 0

    @property
    def time_left(self) -> float:
        """Seconds until the deadline, negative after it."""
        if self._ends == math.inf:
            return math.inf
        return self._ends + (self.received / MIN_RATE if self.in_body else 0.0) - self._clock()

    def receive(self, connection: socket.socket, size: int) -> bytes:
        """Read at most ``size`` bytes.

        Raises:
            HeadTimeout, TimeoutError: the deadline of the headers or of the body has passed.
        """
        left = self.time_left
        if left == math.inf:
            return connection.recv(size)
        if left <= 0:
            raise self._error()
        former = connection.gettimeout()
        connection.settimeout(left if former is None else min(left, former))
        try:
            data = connection.recv(size)
        except TimeoutError as error:
            raise self._error() from error
        finally:
            connection.settimeout(former)
        self.received += len(data)
        return data

    def _error(self) -> Exception:
        return TimeoutError("The request came too slowly.") if self.in_body else HeadTimeout()
