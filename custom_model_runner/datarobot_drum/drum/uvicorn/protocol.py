"""uvicorn's HTTP protocol with a deadline and limits for the request line and headers, and JSON errors."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from datarobot_drum.drum.serving.request_head import (
    INVALID,
    LINE_TOO_LONG,
    MAX_HEAD_BYTES,
    TOO_LARGE,
    TOO_SLOW,
    Rejection,
    check_head,
    rejection_bytes,
)
from datarobot_drum.drum.uvicorn.half_close import HalfCloseWatch
from datarobot_drum.drum.uvicorn.write_watch import WriteWatch

LINGER_SECONDS = 0.5
"""Seconds for which the rest of a rejected request is read and dropped, so that its client can read the response."""


class HalfClosableProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with responses for clients that end their sending side after their last request."""

    _is_half_closed = False

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether to keep the connection: for the responses to the requests that are complete."""
        if not self._is_responding:
            return False
        if self.cycle.more_body:
            if not self.pipeline:
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
    _header_bytes = 0
    _in_headers = False
    _error = INVALID
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

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_close()

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
        super().data_received(data)
        self._header_bytes = self._header_bytes + len(data) if has_no_body and self._in_headers else 0
        if self._header_bytes > MAX_HEAD_BYTES:
            self._reject(TOO_LARGE if self.headers else LINE_TOO_LONG)
        self._start_timers()

    def _start_timers(self) -> None:
        seconds = self.timeout_keep_alive or self._header_timeout
        if self._in_headers and self._header_timeout and self._deadline is None:
            self._deadline = self.loop.call_later(self._header_timeout, self._reject, TOO_SLOW)
        elif seconds and not (self._in_headers or self._is_responding or self.timeout_keep_alive_task):
            self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        self._in_headers = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._stop_deadline()
        is_known = self.parser.get_http_version() != "0.9"
        rejection = check_head(self.url, self.headers) if is_known else INVALID
        if rejection is not None:
            self._error = rejection
            raise ValueError("rejected")  # stops the parser, which has uvicorn send an error
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._reject(self._error)

    def _reject(self, rejection: Rejection) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and self._is_responding and not cycle.more_body:
            cycle.keep_alive = False  # the request before is complete: its response is the last one
            return
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(rejection_bytes(rejection, self.server_state.default_headers))
        self._is_rejected = True  # closing at once would reset the connection of a client that is still sending
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
