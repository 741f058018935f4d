"""uvicorn's HTTP protocol with a deadline and limits for the request line and headers, and JSON errors."""

import asyncio
import sys
from collections import deque
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from datarobot_drum.drum.serving.chunked_body import is_framing_too_large
from datarobot_drum.drum.serving.request_head import (
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
from datarobot_drum.drum.uvicorn.half_close import HalfCloseWatch
from datarobot_drum.drum.uvicorn.write_watch import WriteWatch


class HalfClosableProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with responses for clients that end their sending side after their last request."""

    _is_half_closed = False

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether to keep the connection: for the responses to the requests that are complete."""
        if not self._is_responding:
            return False
        if self.cycle.more_body:
            if not self.pipeline:
                self._respond_to_truncated()
                return False
            self.pipeline.popleft()  # truncated; the requests before it are complete
        elif not self.pipeline:
            HalfCloseWatch(self.transport, self.cycle, self.loop)
        self._is_half_closed = True
        self.cycle.keep_alive = False
        return True

    def on_response_complete(self) -> None:
        if self._is_half_closed and not self.pipeline:
            self.transport.close()
        super().on_response_complete()

    def _respond_to_truncated(self) -> None:
        cycle = self.cycle
        if not cycle.response_started:
            self.transport.write(rejection_bytes(TRUNCATED, self.server_state.default_headers))
        cycle.disconnected = True
        cycle.message_event.set()

    @property
    def _is_responding(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete


class LimitedHeadersProtocol(HalfClosableProtocol):
    """uvicorn's protocol with limits: for silence before a request, its headers, and clients that do not read.

    Args:
        header_timeout: seconds from the first byte of a request to the end of its headers; 0 for no limit.
        write_timeout: seconds that a client may go without reading; 0 for no limit.
    """

    _deadline: asyncio.TimerHandle | None = None
    _head = _received = _unread = b""
    _checks_line = False
    """True while the request line is at the start of ``_head``."""
    _header_bytes = _data_size = _framing_size = 0
    _in_headers = _in_message = False
    _error = INVALID
    _last_rejection: Rejection | None = None
    """Sent behind the responses to the requests before the rejected one."""
    _is_rejected = False
    _write_watch: WriteWatch | None = None

    def __init__(self, header_timeout: float, write_timeout: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._header_timeout = header_timeout
        self._write_timeout = write_timeout

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        self._stop_write_watch()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writes()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_write_watch()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._watch_close()

    def shutdown(self) -> None:
        super().shutdown()
        self._watch_close()

    def _watch_close(self) -> None:
        """Limit the time that the close of a connection waits for the client to read."""
        if self.transport.is_closing():
            self._watch_writes()

    def _watch_writes(self) -> None:
        if self._write_timeout and self._write_watch is None and self.transport.get_write_buffer_size():
            self._write_watch = WriteWatch(self.transport, self._write_timeout, self.loop)

    def _stop_write_watch(self) -> None:
        if self._write_watch is not None:
            self._write_watch.stop()
            self._write_watch = None

    def data_received(self, data: bytes) -> None:
        if self._is_rejected:
            return
        has_no_body = self._in_headers or not self._is_responding
        cycle, body_size = self.cycle, 0 if has_no_body else len(self.cycle.body)
        self._head += data
        if not self._in_headers:
            self._checks_line = not self._in_message
        self._unread = data
        while self._unread:
            self._received, self._unread = self._unread, b""
            super().data_received(self._received)
        if not self._in_headers:
            self._head = b""
        if not has_no_body and cycle is self.cycle and cycle.more_body:
            self._count_framing(len(data), len(cycle.body) - body_size)
        self._header_bytes = self._header_bytes + len(data) if has_no_body and self._in_headers else 0
        if self._header_bytes > MAX_HEAD_BYTES:
            self._reject(TOO_LARGE if self.headers else LINE_TOO_LONG)
        self._start_timers()

    def _count_framing(self, received: int, data: int) -> None:
        self._data_size += data
        self._framing_size += received - data
        if is_framing_too_large(self._framing_size, self._data_size):
            self._reject(TRUNCATED)

    def _start_timers(self) -> None:
        seconds = self.timeout_keep_alive or self._header_timeout
        if self._in_headers and self._header_timeout and self._deadline is None:
            self._deadline = self.loop.call_later(self._header_timeout, self._reject, TOO_SLOW)
        elif seconds and not (self._in_headers or self._is_responding or self.timeout_keep_alive_task):
            self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        self._in_headers = self._in_message = True
        self._error = INVALID
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._stop_deadline()
        self._data_size = self._framing_size = 0
        rejection = self._check_head()
        if rejection is not None:
            self._error = rejection
            raise ValueError("rejected")  # stops the parser, which has uvicorn send an error
        if self._is_unsupported_upgrade:
            return
        super().on_headers_complete()
        self._error = TRUNCATED
        if not self.parser.should_upgrade():
            self.headers = deque(maxlen=0)  # type: ignore[assignment]  # drops the trailer fields

    def on_message_complete(self) -> None:
        self._in_message = False
        if not self._is_unsupported_upgrade:
            super().on_message_complete()

    @property
    def _is_unsupported_upgrade(self) -> bool:
        return self.parser.should_upgrade() and not self._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Parse the request again without ``Upgrade``, with which the parser skips the body."""
        error: Any = sys.exc_info()[1]  # uvicorn calls this while it handles HttpParserUpgrade
        fields = b"".join(b"%s: %s\r\n" % field for field in self.headers if field[0] != b"upgrade")
        version = self.parser.get_http_version().encode()
        head = b"%s %s HTTP/%s\r\n%s\r\n" % (self.parser.get_method(), self.url, version, fields)
        self.parser = httptools.HttpRequestParser(self)
        self._checks_line = False
        self._unread = head + self._received[error.args[0] :]

    def _check_head(self) -> Rejection | None:
        method = self.parser.get_method()
        rejection = check_head(method, self.url, self.parser.get_http_version().encode(), self.headers)
        if rejection is not None:
            return rejection
        # The parser skips empty lines before the request line, and blanks in it.
        line = b"%s %s HTTP/" % (method, self.url)
        is_valid = not self._checks_line or self._head.startswith((line, b"\r\n" + line))
        self._checks_line = False
        return None if is_valid else INVALID

    def send_400_response(self, msg: str) -> None:
        self._reject(self._error)

    def _reject(self, rejection: Rejection) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and self._is_responding and not cycle.more_body:
            cycle.keep_alive = False  # the request before is complete: its response is the last one
            return
        self._is_rejected = True
        if self.pipeline:
            self.pipeline.popleft()
            self._last_rejection = rejection
        else:
            self._send_rejection(rejection)

    def _send_rejection(self, rejection: Rejection) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started or self._last_rejection:
            self.transport.write(rejection_bytes(rejection, self.server_state.default_headers))
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # Closing at once would reset the connection of a client that is still sending.
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def on_response_complete(self) -> None:
        has_responded = not self.pipeline  # else this starts the next response
        super().on_response_complete()
        if has_responded and self._last_rejection is not None:
            self._send_rejection(self._last_rejection)
        self._watch_close()

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
