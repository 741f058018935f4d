"""Werkzeug's request handler with limits for the request line and headers, and JSON errors.

The parser of Python's ``http.server`` takes what is no HTTP, limits neither time nor size, and sends HTML.
"""

import io
import re
import socket
import time
from contextlib import suppress

from werkzeug.serving import WSGIRequestHandler

from datarobot_drum.drum.serving.read_deadline import ReadDeadline
from datarobot_drum.drum.serving.request_head import (
    HEAD_SECONDS,
    INVALID,
    LINE_TOO_LONG,
    MAX_HEAD_BYTES,
    MAX_HEADER_FIELDS,
    TOO_LARGE,
    TOO_MANY_FIELDS,
    TOO_SLOW,
    HeadTimeout,
    Rejection,
    rejection_bytes,
)
from datarobot_drum.drum.werkzeug.read_timeout import DeadlineReader

LINGER_SECONDS = 0.5
"""Seconds for which the rest of a rejected request is read, so that its client can read the response."""

_REQUEST_LINE = re.compile(rb"[!$-'*+.^_`|~0-9A-Z-]+ [!-~]+ HTTP/1\.[01]\r\n")
_FIELD = re.compile(rb"[!#-'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n")
_EMPTY = b"\r\n"


class _Rejected(Exception):
    def __init__(self, rejection: Rejection) -> None:
        self.rejection = rejection


class _ReceivedFields:
    """The lines of the headers as one line: ``http.client`` counts lines, the limits have been checked before."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = [b"".join(lines), b"\r\n"] if lines else [b"\r\n"]

    def readline(self, size: int = -1) -> bytes:
        return self._lines.pop(0)


class LimitedHeadersHandler(WSGIRequestHandler):
    """A handler that checks request line and headers as the other servers do."""

    raw_requestline: bytes
    upload_timeout = 0.0
    """Seconds for the body, see ``ReadDeadline``; also for the request line and headers, which always have a limit."""

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._deadline = ReadDeadline(self.upload_timeout or HEAD_SECONDS, self.upload_timeout)
        self.rfile = io.BufferedReader(DeadlineReader(self.connection, self._deadline))

    def handle_one_request(self) -> None:
        try:
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
        return self._parse(fields) and self._accept_framing()

    def _parse(self, fields: list[bytes]) -> bool:
        stream = self.rfile
        self.rfile = _ReceivedFields(fields)  # type: ignore[assignment]
        try:
            is_valid = super().parse_request()
        finally:
            self.rfile = stream
        self._deadline.start_body()
        return is_valid

    def _accept_framing(self) -> bool:
        """Return whether the length of the body is beyond doubt (RFC 9112, 6.3); else respond with 400."""
        lengths = self.headers.get_all("Content-Length", ())
        codings = self.headers.get_all("Transfer-Encoding", ())
        if len(lengths) > 1 or (codings and (lengths or [coding.strip().lower() for coding in codings] != ["chunked"])):
            self._reject(INVALID)
            return False
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send an error of ``http.server`` as the other servers do."""
        self._reject(LINE_TOO_LONG if code == LINE_TOO_LONG.status else INVALID)

    def _read_fields(self) -> list[bytes]:
        """Return the lines of the headers.

        Raises:
            _Rejected: the request line or the headers are invalid or over the limits.
        """
        if self.raw_requestline == _EMPTY:  # one is allowed before the request line (RFC 9112, 2.2)
            self.raw_requestline = self.rfile.readline(MAX_HEAD_BYTES + 1)
        if len(self.raw_requestline) > MAX_HEAD_BYTES:
            raise _Rejected(LINE_TOO_LONG)
        if not _REQUEST_LINE.fullmatch(self.raw_requestline):
            raise _Rejected(INVALID)
        lines: list[bytes] = []
        left = MAX_HEAD_BYTES - len(self.raw_requestline)
        while (line := self.rfile.readline(left + 1)) != _EMPTY:
            left -= len(line)
            if left < 0:
                raise _Rejected(TOO_LARGE)
            if not _FIELD.fullmatch(line):
                raise _Rejected(INVALID)
            lines.append(line)
            if len(lines) > MAX_HEADER_FIELDS:
                raise _Rejected(TOO_MANY_FIELDS)
        return lines

    def _reject(self, rejection: Rejection) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.sendall(rejection_bytes(rejection))
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_SECONDS)
            deadline = time.monotonic() + LINGER_SECONDS
            while time.monotonic() < deadline and self.connection.recv(65_536):
                pass
