"""uvicorn's HTTP protocol with a deadline and a size limit for the request line and headers, and JSON errors."""

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from datarobot_drum.drum.serving.headers import standard_headers
from datarobot_drum.drum.serving.messages import json_response
from datarobot_drum.drum.tracing.request_id import accept_request_id

MAX_HEADER_BYTES = 64 * 1024
LINGER_SECONDS = 0.5
"""Seconds for which the rest of a rejected request is read and dropped, so that its client can read the response."""

TOO_LARGE = (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request line and headers are larger than 64 KiB.")
TOO_SLOW = (HTTPStatus.REQUEST_TIMEOUT, "The request line and headers did not arrive in time (DRUM_UPLOAD_TIMEOUT).")
INVALID = (HTTPStatus.BAD_REQUEST, "The request is not valid HTTP.")


class LimitedHeadersProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits: for silence before a request, and for the size and time of its headers.

    Args:
        header_timeout: seconds from the first byte of a request to the end of its headers; 0 for no limit.
    """

    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _in_headers = False
    _error = INVALID
    _is_rejected = False

    def __init__(self, header_timeout: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._header_timeout = header_timeout

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_rejected:
            return
        has_no_body = self._in_headers or not self._is_responding
        super().data_received(data)
        self._header_bytes = self._header_bytes + len(data) if has_no_body and self._in_headers else 0
        if self._header_bytes > MAX_HEADER_BYTES:
            self._reject(TOO_LARGE)
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
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEADER_BYTES:
            self._error = TOO_LARGE
            raise ValueError("too large")  # stops the parser, which has uvicorn send an error
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._reject(self._error)

    def _reject(self, error: tuple[HTTPStatus, str]) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and self._is_responding and not cycle.more_body:
            cycle.keep_alive = False  # the request before is complete: its response is the last one
            return
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(_response(*error, self.server_state.default_headers))
        self._is_rejected = True  # closing at once would reset the connection of a client that is still sending
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    @property
    def _is_responding(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _response(status: HTTPStatus, message: str, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    content: Any = json_response({"message": f"ERROR: {message}"}).content
    own = {"content-type": "application/json", "content-length": str(len(content)), "connection": "close"}
    headers = {**own, **standard_headers(accept_request_id(None))}
    lines = [*default_headers, *((name.lower().encode(), value.encode()) for name, value in headers.items())]
    return b"".join([STATUS_LINE[status], *(b"%s: %s\r\n" % line for line in lines), b"\r\n", content])
