"""A minimal HTTP response parser for the load generator, on the standard library alone."""


class InvalidResponse(Exception):
    """The server sent no valid HTTP/1.1 response."""


class Response:
    """A response, fed with bytes as they arrive."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.status = 0
        self.closes = False
        self._length: int | None = None
        self._chunked = False

    def feed(self, data: bytes) -> bool:
        """Parse ``data`` and return True if the response is complete."""
        self.body += data
        if not self.status and not self._parse_headers():
            return False
        if self._chunked:
            return self.body.endswith(b"0\r\n\r\n")
        return self._length is not None and len(self.body) >= self._length

    def end(self) -> bool:
        """Return True if the response is complete now that the server has closed the connection."""
        self.closes = True
        return bool(self.status) and self._length is None and not self._chunked

    def _parse_headers(self) -> bool:
        end = self.body.find(b"\r\n\r\n")
        if end < 0:
            return False
        first, *lines = bytes(self.body[:end]).lower().split(b"\r\n")
        del self.body[: end + 4]
        self.status = int(first.split()[1])
        fields = dict(line.split(b":", 1) for line in lines)
        self._chunked = b"chunked" in fields.get(b"transfer-encoding", b"")
        self._length = int(fields[b"content-length"]) if b"content-length" in fields else None
        self.closes = b"close" in fields.get(b"connection", b"") or first.startswith(b"http/1.0")
        return True
