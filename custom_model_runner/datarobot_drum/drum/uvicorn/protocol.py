"""uvicorn's HTTP protocol with a deadline and a size limit for the request line and headers, and JSON errors."""

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from datarobot_drum.drum.serving.headers import standard_headers
from datarobot_drum.drum.serving.messages import json_response
from datarobot_drum.drum.tracing.request_id import accept_request_id

MAX_HEADER_BYTES = 64 * 1024
TOO_LARGE = (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request line and headers are larger than 64 KiB.")
INVALID = (HTTPStatus.BAD_REQUEST, "The request is not valid HTTP.")


class LimitedHeadersProtocol(HttpToolsProtocol):
    """Closes a connection that sends nothing for the keep-alive timeout, or whose headers are too large or too slow.

    Args:
        header_timeout: seconds from the first byte of a request to the end of its headers; 0 for no limit.
    """

    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _in_headers = False
    _error = INVALID

    def __init__(self, header_timeout: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._header_timeout = header_timeout

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_headers:
            self._header_bytes += len(data)
        if self._header_bytes > MAX_HEADER_BYTES:
            self._reject(*TOO_LARGE)
            return
        super().data_received(data)
        if self._in_headers and self._header_timeout and self._deadline is None:
            self._deadline = self.loop.call_later(self._header_timeout, self._on_deadline)

    def on_message_begin(self) -> None:
        self._in_headers, self._header_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._stop_deadline()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEADER_BYTES:
            self._error = TOO_LARGE
            raise ValueError("too large")  # stops the parser, which has uvicorn send an error
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._reject(*self._error)

    def _on_deadline(self) -> None:
        self._reject(HTTPStatus.REQUEST_TIMEOUT, f"The headers did not arrive within {self._header_timeout:g} s.")

    def _reject(self, status: HTTPStatus, message: str) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        is_open = cycle is not None and not cycle.response_complete
        if cycle is not None and is_open and not cycle.more_body:
            cycle.keep_alive = False  # the request before is complete: its response is the last one
            return
        if cycle is None or not (is_open and cycle.response_started):
            self.transport.write(_response(status, message, self.server_state.default_headers))
        self.transport.close()

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
