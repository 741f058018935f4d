"""A client's socket as gunicorn reads it: within deadlines, and with the bytes that were received ahead."""

import select
import socket
import time
from typing import Any

from gunicorn.http.errors import InvalidRequestLine, LimitRequestHeaders, LimitRequestLine

from datarobot_drum.drum.process.client_writes import ClientStalled, send_all
from datarobot_drum.drum.serving.read_deadline import ReadDeadline
from datarobot_drum.drum.serving.request_arrival import MAX_BODY_AHEAD, expects_continue, has_arrived, has_head
from datarobot_drum.drum.serving.request_head import CONTINUE, MAX_HEAD_BYTES, may_start_request

RECEIVE_BYTES = 128 * 1024


class ClientConnection:
    """A socket whose reads meet the deadline of the request, and whose writes end if the client does not read.

    Everything else is the socket's. ``scheme`` is that of its URLs.

    Args:
        max_body: length of the longest body that the app accepts.
        write_timeout: seconds that the client may go without reading; 0 for no limit.
    """

    scheme = "http"

    def __init__(
        self,
        connection: socket.socket,
        deadline: ReadDeadline,
        max_body: float = float("inf"),
        write_timeout: float = 0.0,
    ) -> None:
        self._connection = connection
        self.deadline = deadline
        self._max_body = max_body
        self._write_timeout = write_timeout
        self._ahead = bytearray()
        self._is_whole = False
        self._in_head = True
        self._is_first_request = True
        self._head_bytes = 0
        self._max_head_bytes = MAX_HEAD_BYTES
        self._has_line = False
        self._has_continued = False
        self._has_shut_down = False
        self._is_stalled = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    # Before the request is handled

    @property
    def is_silent(self) -> bool:
        """Whether the client has sent nothing yet."""
        return not self._ahead and not self._head_bytes

    @property
    def has_head(self) -> bool:
        """Whether request line and headers have been received ahead."""
        return has_head(self._ahead)

    @property
    def raw_socket(self) -> socket.socket:
        """The socket itself, which has no deadline."""
        return self._connection

    def receive_ahead(self) -> bool:
        """Read what is there without blocking; return whether the request can be handled, or the client has ended.

        Raises:
            OSError: the client has reset the connection.
        """
        try:
            data = self.receive_now(RECEIVE_BYTES)
        except BlockingIOError:
            return False
        had_head = self.has_head
        self._ahead += data
        if not data:
            return True
        arrived = has_arrived(self._ahead, self._max_body)
        self._is_whole = arrived and len(self._ahead) < MAX_BODY_AHEAD
        if not arrived and not had_head and self.has_head:
            self.deadline.start_body()
            self._continue()
        return arrived

    def receive_now(self, size: int) -> bytes:
        """Read what is there without blocking.

        Raises:
            BlockingIOError: nothing is there.
        """
        return self._connection.recv(size, socket.MSG_DONTWAIT)

    def receive_within(self, seconds: float) -> bool:
        """Do the same as ``receive_ahead``, and wait up to ``seconds`` for more."""
        if self.receive_ahead():
            return True
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and poll.poll(left * 1000):
            if self.receive_ahead():
                return True
        return False

    def _continue(self) -> None:
        if expects_continue(self._ahead, self._max_body):
            self._connection.send(CONTINUE)
            self._has_continued = True

    # gunicorn's interface

    def start_body(self) -> None:
        """Start the deadline of the body, unless it was received ahead: gunicorn has parsed the headers."""
        self._in_head = False
        if not self.deadline.in_body:
            self.deadline.start_body()

    def start_head(self) -> None:
        """Start the deadline of the next request of the connection."""
        self._in_head = True
        self._is_first_request = False
        self._head_bytes = 0
        self._max_head_bytes = 2 * MAX_HEAD_BYTES  # gunicorn reads and drops the rest of the former body first
        self.deadline.start_head()

    def recv(self, size: int, *flags: int) -> bytes:
        if self._has_shut_down:
            # gunicorn waits for the client to close, to see what it still sends: nothing, if the request was whole.
            return b"" if self._is_whole or self._is_stalled else self._connection.recv(size)
        if self._in_head:
            return self._receive_head(size)
        if self._ahead:
            return self._take(size)
        return self.deadline.receive(self._connection, size)

    def _receive_head(self, size: int) -> bytes:
        if not self._ahead and self._head_bytes > self._max_head_bytes:
            raise LimitRequestHeaders("too large") if self._has_line else LimitRequestLine("too long")
        data = self._take(size) if self._ahead else self.deadline.receive(self._connection, size)
        if data and self._is_first_request and not self._head_bytes and not may_start_request(data):
            raise InvalidRequestLine("not HTTP")
        self._head_bytes += len(data)
        self._has_line = self._has_line or b"\n" in data
        return data

    def _take(self, size: int) -> bytes:
        data = bytes(self._ahead[:size])
        del self._ahead[:size]
        return data

    def send(self, data: bytes, *flags: int) -> int:
        if self._has_continued and data == CONTINUE:
            return len(data)
        return self._connection.send(data, *flags)

    def sendall(self, data: bytes, *flags: int) -> None:
        """Send all bytes.

        Raises:
            ConnectionResetError: the client does not read.
        """
        if not self._write_timeout:
            self._connection.sendall(data, *flags)
            return
        try:
            send_all(self._connection, data, self._write_timeout, self.send_now)
        except ClientStalled:
            self._is_stalled = True
            raise

    def send_now(self, data: memoryview) -> int:
        """Send what fits without blocking.

        Raises:
            BlockingIOError: nothing fits.
        """
        return self._connection.send(data, socket.MSG_DONTWAIT)

    def shutdown(self, how: int) -> None:
        self._has_shut_down = True
        if not self._is_stalled:  # the close must reset it: its response is incomplete
            self._connection.shutdown(how)
