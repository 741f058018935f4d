"""uvicorn's HTTP protocol with limits of time and size, JSON errors, and responses for half-closed clients."""

import asyncio
import socket
from collections import deque
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from datarobot_drum.drum.process.client_writes import WriteProgress, kernel_queue, log_stall, reset_on_close
from datarobot_drum.drum.serving.chunked_body import is_framing_too_large
from datarobot_drum.drum.serving.request_head import (
    CONTINUE,
    INVALID,
    LINE_TOO_LONG,
    LINGER_SECONDS,
    MAX_HEAD_BYTES,
    TOO_LARGE,
    TOO_SLOW,
    TRUNCATED,
    Rejection,
    check_head,
    rejection_bytes,
)

CHECK_SECONDS = 0.25
"""Seconds between two checks of the limits of time of all connections."""

PROBE_SECONDS = 1.0
"""Seconds after which bytes without a meaning are sent, once, to find out whether a half-closed client has closed."""

LEADING_ZERO = b"0"
"""The first digit of the next chunk's size (RFC 9112, 7.1)."""

_DROPPED: Any = deque(maxlen=0)


class LimitedHeadersProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits: for silence before a request, its headers, and clients that do not read.

    Args:
        header_timeout: seconds from the first byte of a request to the end of its headers; 0 for no limit.
        write_timeout: seconds that a client may go without reading; 0 for no limit.
    """

    def __init__(self, header_timeout: float, write_timeout: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._header_timeout = header_timeout
        self._write_timeout = write_timeout
        self._header_deadline = 0.0
        self._head = b""
        self._checks_line = False
        self._in_message = self._in_headers = False
        self._data_size = self._framing_size = 0
        self._is_rejected = False
        self._write_progress: WriteProgress | None = None
        self._probe_at: float | None = None

    @property
    def _is_responding(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    @property
    def _in_body(self) -> bool:
        return self._in_message and not self._in_headers

    def data_received(self, data: bytes) -> None:
        if self._is_rejected:
            return
        self._unset_keepalive_if_required()
        if self._in_body:
            self._framing_size += len(data)
        else:
            self._head += data
            self._checks_line = self._checks_line or not self._in_message
        while data:
            data = self._parse(data)
        if len(self._head) > MAX_HEAD_BYTES:
            self._reject(TOO_LARGE if self.headers else LINE_TOO_LONG)
        elif self._in_body and is_framing_too_large(self._framing_size, self._data_size):
            self._reject(TRUNCATED)

    def _parse(self, data: bytes) -> bytes:
        """Parse the data; return what is to be parsed again."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            if not self._should_upgrade():
                return self._without_upgrade() + data[error.args[0] :]
            self.handle_websocket_upgrade()
        except httptools.HttpParserError:
            self._reject(TRUNCATED if self._in_body else INVALID)
        return b""

    def _without_upgrade(self) -> bytes:
        """Return the head again without ``Upgrade``, with which the parser skips the body."""
        fields = b"".join(b"%s: %s\r\n" % field for field in self.headers if field[0] != b"upgrade")
        version = self.parser.get_http_version().encode()
        head = b"%s %s HTTP/%s\r\n%s\r\n" % (self.parser.get_method(), self.url, version, fields)
        self.parser = httptools.HttpRequestParser(self)
        return head

    def _has_unsupported_upgrade(self) -> bool:
        return bool(self.parser.should_upgrade()) and not self._should_upgrade()

    def on_message_begin(self) -> None:
        self._in_headers = self._in_message = True
        self._header_deadline = self.loop.time() + self._header_timeout
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        rejection = self._check_head()
        if rejection is not None:
            self._reject(rejection)
            raise ValueError("rejected")  # stops the parser
        self._in_headers = self._checks_line = False
        self._head = b""
        self._data_size = self._framing_size = 0
        if self._has_unsupported_upgrade():
            return
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            self.headers = _DROPPED  # of the trailer fields

    def on_body(self, body: bytes) -> None:
        self._data_size += len(body)
        self._framing_size -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        if not self._has_unsupported_upgrade():
            super().on_message_complete()

    def _check_head(self) -> Rejection | None:
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        rejection = check_head(method, self.url, version, self.headers)
        if rejection is not None or not self._checks_line:
            return rejection
        # The parser skips empty lines before the request line, and blanks in it.
        line = b"%s %s HTTP/" % (method, self.url)
        return None if self._head.startswith((line, b"\r\n" + line)) else INVALID

    def _reject(self, rejection: Rejection) -> None:
        """Respond with an error behind the responses to the requests before, and drop what is still received."""
        if self._is_rejected:
            return
        self._is_rejected = True
        if self._is_responding and not self.cycle.more_body:
            self.cycle.keep_alive = False  # the request before is complete: its response is the last one
        elif self.pipeline:
            cycle, _ = self.pipeline.popleft()

            async def reject(*_: Any) -> None:
                self._send_rejection(rejection)

            self.pipeline.appendleft((cycle, reject))
        else:
            self._send_rejection(rejection)

    def _send_rejection(self, rejection: Rejection) -> None:
        cycle: Any = self.cycle
        if not (self._in_body and cycle.response_started):
            self.transport.write(rejection_bytes(rejection, self.server_state.default_headers))
        if self._is_responding:
            cycle.disconnected = True
            cycle.message_event.set()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # Closing at once would reset the connection of a client that is still sending.
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether to keep the connection, for the responses to a client that ended its sending side."""
        if not self._is_responding or self.scheme == "https":  # the event loop closes both sides of a TLS connection
            return False
        if self.cycle.more_body:
            self._reject(TRUNCATED)
        else:
            self.cycle.keep_alive = False
            self._probe_at = self.loop.time() + PROBE_SECONDS
        return True

    def resume_writing(self) -> None:
        super().resume_writing()
        self._write_progress = None

    def check_time_limits(self) -> None:
        """End the connection if its client is too slow, or has closed it."""
        is_closing = self.transport.is_closing()
        if self._write_timeout and (is_closing or self.flow.write_paused):
            self._check_writes()
        if is_closing:
            return
        if self._probe_at is not None:
            self._check_half_closed(self._probe_at)
        if self._in_headers:
            if self._header_timeout and self.loop.time() >= self._header_deadline:
                self._reject(TOO_SLOW)
        elif not (self._is_responding or self.timeout_keep_alive_task):  # uvicorn has a limit only behind a response
            seconds = self.timeout_keep_alive or self._header_timeout
            if seconds:
                self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _check_writes(self) -> None:
        """Abort the connection if its client does not read: its stream ends, and its slot becomes free."""
        connection = self.transport.get_extra_info("socket")
        self._write_progress = self._write_progress or WriteProgress(self._write_timeout, self.loop.time)
        if self._write_progress.is_stalled(self.transport.get_write_buffer_size() + kernel_queue(connection)):
            log_stall(self._write_timeout)
            reset_on_close(connection)
            self.transport.abort()

    def _check_half_closed(self, probe_at: float) -> None:
        """Abort the connection if its client has closed it: its queued call is cancelled, its stream ends.

        The socket looks the same as that of a client that waits, until something is sent: then a closed one resets the
        connection. Nothing is read any more, so the reset is looked for at the socket.
        """
        if self.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abort()
        elif self.loop.time() >= probe_at and not self.pipeline:
            self._probe_at = float("inf")
            if not self.cycle.response_started and self.cycle.scope["http_version"] == "1.1":
                self.transport.write(CONTINUE)
            elif self.cycle.chunked_encoding and self.cycle.scope["method"] != "HEAD":
                self.transport.write(LEADING_ZERO)


def check_connections(connections: set[Any], loop: asyncio.AbstractEventLoop) -> None:
    """Check the limits of time of all connections, now and from now on."""
    loop.call_later(CHECK_SECONDS, check_connections, connections, loop)
    for connection in list(connections):
        if isinstance(connection, LimitedHeadersProtocol):  # else a websocket
            connection.check_time_limits()
