"""uvicorn's HTTP protocol with a deadline and limits for the request line and headers, and JSON errors."""

import asyncio
import sys
from collections import deque
from dataclasses import dataclass
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
        if not self._is_responding or self.scheme == "https":  # the event loop closes both sides of a TLS connection
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


_DROPPED: deque[tuple[bytes, bytes]] = deque(maxlen=0)


@dataclass(slots=True)
class _ConnectionState:
    """What this protocol adds to uvicorn's.

    An object of its own, since CPython is slow with objects of more than 30 attributes: two thirds more time a request.
    """

    header_timeout: float
    write_timeout: float
    deadline: asyncio.TimerHandle | None = None
    write_watch: WriteWatch | None = None
    head: bytes = b""
    received: bytes = b""
    unread: bytes = b""
    checks_line: bool = False
    """True while the request line is at the start of ``head``."""
    in_headers: bool = False
    in_message: bool = False
    is_unsupported_upgrade: bool = False
    header_bytes: int = 0
    data_size: int = 0
    framing_size: int = 0
    error: Rejection = INVALID
    last_rejection: Rejection | None = None
    """Sent behind the responses to the requests before the rejected one."""
    is_rejected: bool = False


class LimitedHeadersProtocol(HalfClosableProtocol):
    """uvicorn's protocol with limits: for silence before a request, its headers, and clients that do not read.

    Args:
        header_timeout: seconds from the first byte of a request to the end of its headers; 0 for no limit.
        write_timeout: seconds that a client may go without reading; 0 for no limit.
    """

    def __init__(self, header_timeout: float, write_timeout: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._state = _ConnectionState(header_timeout, write_timeout)

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
        if self._state.write_timeout and self._state.write_watch is None and self.transport.get_write_buffer_size():
            self._state.write_watch = WriteWatch(self.transport, self._state.write_timeout, self.loop)

    def _stop_write_watch(self) -> None:
        if self._state.write_watch is not None:
            self._state.write_watch.stop()
            self._state.write_watch = None

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state.is_rejected:
            return
        has_no_body = state.in_headers or not self._is_responding
        cycle, body_size = self.cycle, 0 if has_no_body else len(self.cycle.body)
        state.head += data
        if not state.in_headers:
            state.checks_line = not state.in_message
        state.unread = data
        while state.unread:
            state.received, state.unread = state.unread, b""
            super().data_received(state.received)
        if not has_no_body and cycle is self.cycle and cycle.more_body:
            self._count_framing(len(data), len(cycle.body) - body_size)
        if not state.in_headers:
            state.head = b""
            state.header_bytes = 0
        else:
            state.header_bytes = state.header_bytes + len(data) if has_no_body else 0
            if state.header_bytes > MAX_HEAD_BYTES:
                self._reject(TOO_LARGE if self.headers else LINE_TOO_LONG)
        self._start_timers()

    def _count_framing(self, received: int, data: int) -> None:
        self._state.data_size += data
        self._state.framing_size += received - data
        if is_framing_too_large(self._state.framing_size, self._state.data_size):
            self._reject(TRUNCATED)

    def _start_timers(self) -> None:
        state = self._state
        if state.in_headers:
            if state.header_timeout and state.deadline is None:
                state.deadline = self.loop.call_later(state.header_timeout, self._reject, TOO_SLOW)
        elif not (self._is_responding or self.timeout_keep_alive_task):
            seconds = self.timeout_keep_alive or state.header_timeout
            if seconds:
                self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        self._state.in_headers = self._state.in_message = True
        self._state.error = INVALID
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        state = self._state
        state.in_headers = False
        self._stop_deadline()
        state.data_size = state.framing_size = 0
        rejection = self._check_head()
        if rejection is not None:
            state.error = rejection
            raise ValueError("rejected")  # stops the parser, which has uvicorn send an error
        is_upgrade = self.parser.should_upgrade()
        state.is_unsupported_upgrade = is_upgrade and not self._should_upgrade()
        if state.is_unsupported_upgrade:
            return
        super().on_headers_complete()
        state.error = TRUNCATED
        if not is_upgrade:
            self.headers = _DROPPED  # type: ignore[assignment]  # of the trailer fields

    def on_message_complete(self) -> None:
        self._state.in_message = False
        if not self._state.is_unsupported_upgrade:
            super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Parse the request again without ``Upgrade``, with which the parser skips the body."""
        error: Any = sys.exc_info()[1]  # uvicorn calls this while it handles HttpParserUpgrade
        fields = b"".join(b"%s: %s\r\n" % field for field in self.headers if field[0] != b"upgrade")
        version = self.parser.get_http_version().encode()
        head = b"%s %s HTTP/%s\r\n%s\r\n" % (self.parser.get_method(), self.url, version, fields)
        self.parser = httptools.HttpRequestParser(self)
        self._state.checks_line = False
        self._state.unread = head + self._state.received[error.args[0] :]

    def _check_head(self) -> Rejection | None:
        state, method = self._state, self.parser.get_method()
        version = self.parser.get_http_version().encode()
        rejection = check_head(method, self.url, version, self.headers, len(state.head))
        if rejection is not None:
            return rejection
        checks_line, state.checks_line = state.checks_line, False
        # The parser skips empty lines before the request line, and blanks in it.
        line = b"%s %s HTTP/" % (method, self.url)
        is_valid = not checks_line or state.head.startswith(line) or state.head.startswith(b"\r\n" + line)
        return None if is_valid else INVALID

    def send_400_response(self, msg: str) -> None:
        self._reject(self._state.error)

    def _reject(self, rejection: Rejection) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and self._is_responding and not cycle.more_body:
            cycle.keep_alive = False  # the request before is complete: its response is the last one
            return
        self._state.is_rejected = True
        if self.pipeline:
            self.pipeline.popleft()
            self._state.last_rejection = rejection
        else:
            self._send_rejection(rejection)

    def _send_rejection(self, rejection: Rejection) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started or self._state.last_rejection:
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
        if has_responded and self._state.last_rejection is not None:
            self._send_rejection(self._state.last_rejection)
        self._watch_close()

    def _stop_deadline(self) -> None:
        if self._state.deadline is not None:
            self._state.deadline.cancel()
            self._state.deadline = None
