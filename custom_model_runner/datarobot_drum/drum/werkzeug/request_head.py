"""Werkzeug's request handler with limits for the request line and headers, and JSON errors.

The parser of Python's ``http.server`` takes what is no HTTP, limits neither time nor size, and sends HTML.
"""

import io
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from werkzeug.serving import WSGIRequestHandler

from datarobot_drum.drum.serving.chunked_body import ChunkedBody
from datarobot_drum.drum.serving.read_deadline import ReadDeadline
from datarobot_drum.drum.serving.request_head import (
    HEAD_SECONDS,
    INVALID,
    LINE_TOO_LONG,
    LINGER_SECONDS,
    MAX_HEAD_BYTES,
    MAX_HEADER_FIELDS,
    TOO_LARGE,
    TOO_MANY_FIELDS,
    TOO_SLOW,
    HeadTimeout,
    Rejection,
    check_head,
    may_start_request,
    rejection_bytes,
)
from datarobot_drum.drum.werkzeug.read_timeout import DeadlineReader

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

RECEIVE_BYTES = 64 * 1024

_REQUEST_LINE = re.compile(rb"([A-Z-]+) ([!-~]+) HTTP/([0-9]\.[0-9])\r\n")
_FIELD = re.compile(rb"[!#-'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n")
_EMPTY = b"\r\n"


class _Rejected(Exception):
    def __init__(self, rejection: Rejection) -> None:
        self.rejection = rejection


class _Disconnected(Exception):
    """The client ended its sending side within the request line or the headers."""


class _ReceivedFields:
    """The lines of the headers as one line: ``http.client`` counts lines, the limits have been checked before."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = [b"".join(lines), b"\r\n"] if lines else [b"\r\n"]

    def readline(self, size: int = -1) -> bytes:
        return self._lines.pop(0)


class _RestOfRequest:
    """What a client still sends after the response, which Werkzeug reads so that the client can read the response.

    Reading ends once the client sends nothing more: it need not close the connection.
    """

    def __init__(self, stream: io.BufferedReader, connection: socket.socket) -> None:
        self._stream = stream
        self._connection = connection
        self.close = stream.close

    def read(self, size: int) -> bytes:
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            self._connection.settimeout(LINGER_SECONDS)
            return self._stream.read1(min(size, RECEIVE_BYTES))
        return b""


class LimitedHeadersHandler(WSGIRequestHandler):
    """A handler that checks request line and headers as the other servers do."""

    raw_requestline: bytes
    rfile: io.BufferedReader
    upload_timeout = 0.0
    """Seconds for the body, see ``ReadDeadline``; also for the request line and headers, which always have a limit."""

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._deadline = ReadDeadline(self.upload_timeout or HEAD_SECONDS, self.upload_timeout)
        self.rfile = io.BufferedReader(DeadlineReader(self.connection, self._deadline))

    def handle_one_request(self) -> None:
        try:
            start = self.rfile.peek(1)
            if start and not may_start_request(start):
                self._reject(INVALID)
                return
            super().handle_one_request()
        except HeadTimeout:
            self.close_connection = True
            if self._deadline.received:
                self._reject(TOO_SLOW)

    def parse_request(self) -> bool:
        try:
            fields = self._read_fields()
        except _Rejected as error:
            self._reject(error.rejection)
            return False
        except _Disconnected:
            self.close_connection = True
            return False
        return self._parse(fields)

    def _parse(self, fields: list[bytes]) -> bool:
        stream = self.rfile
        self.rfile = _ReceivedFields(fields)  # type: ignore[assignment]
        try:
            is_valid = super().parse_request()
        finally:
            self.rfile = stream
        self._deadline.start_body()
        return is_valid

    def make_environ(self) -> "WSGIEnvironment":
        """Return the WSGI environment, with a strict decoder of chunks."""
        environ = super().make_environ()
        if environ.get("wsgi.input_terminated"):
            environ["wsgi.input"] = ChunkedBody(partial(self.rfile.read1, RECEIVE_BYTES))
        self.rfile = _RestOfRequest(self.rfile, self.connection)  # type: ignore[assignment]
        return environ

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send an error of ``http.server`` as the other servers do."""
        self._reject(LINE_TOO_LONG if code == LINE_TOO_LONG.status else INVALID)

    def _read_fields(self) -> list[bytes]:
        """Return the lines of the headers, without blanks around their values.

        Raises:
            _Rejected: the request line or the headers are invalid or over the limits.
            _Disconnected: the client ended its sending side before the end of the headers.
        """
        if self.raw_requestline == _EMPTY:  # one is allowed before the request line (RFC 9112, 2.2)
            self.raw_requestline = self.rfile.readline(MAX_HEAD_BYTES + 1)
        line = self.raw_requestline
        if len(line) > MAX_HEAD_BYTES:
            raise _Rejected(LINE_TOO_LONG)
        request_line = _REQUEST_LINE.fullmatch(line)
        if request_line is None:
            raise _Rejected(INVALID) if line.endswith(b"\n") else _Disconnected
        fields = list(self._receive_fields(MAX_HEAD_BYTES - len(line)))
        method, target, version = request_line.groups()
        rejection = check_head(method, target, version, [(name.lower(), value) for name, value in fields])
        if rejection is not None:
            raise _Rejected(rejection)
        return [b"%s: %s\r\n" % field for field in fields]

    def _receive_fields(self, left: int) -> Iterator[tuple[bytes, bytes]]:
        count = 0
        while (line := self.rfile.readline(left + 1)) != _EMPTY:
            left -= len(line)
            if left < 0:
                raise _Rejected(TOO_LARGE)
            if not line.endswith(b"\n"):
                raise _Disconnected
            if not _FIELD.fullmatch(line):
                raise _Rejected(INVALID)
            count += 1
            if count > MAX_HEADER_FIELDS:
                raise _Rejected(TOO_MANY_FIELDS)
            name, _, value = line.partition(b":")
            yield name, value.strip(b" \t\r\n")

    def _reject(self, rejection: Rejection) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.sendall(rejection_bytes(rejection))
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_SECONDS)
            deadline = time.monotonic() + LINGER_SECONDS
            while time.monotonic() < deadline and self.connection.recv(65_536):
                pass
