"""Tracks the size and the speed of one request body while it is received."""

import time
from collections.abc import Mapping

from datarobot_drum.drum.exceptions import BadRequest, PayloadTooLarge, RequestTimeout

MIN_RATE = 500
"""Bytes a second that a body must bring on average after ``upload_timeout``."""

MAX_LENGTH_DIGITS = 1000
"""Digits of a Content-Length; Python converts at most a few thousand."""


class BodyProgress:
    """Bytes received of one body, and its deadline.

    Args:
        headers: of the request.
        max_size: largest body in bytes; 0 for no limit.
        upload_timeout: seconds for the body, plus one for every ``MIN_RATE`` bytes received; 0 for no limit.

    Raises:
        PayloadTooLarge: Content-Length is over the limit.
        BadRequest: Content-Length is not a number.
    """

    def __init__(self, headers: Mapping[str, str], max_size: int = 0, upload_timeout: float = 0.0) -> None:
        self._max_size = max_size
        self._upload_timeout = upload_timeout
        self.received = 0
        self._started = time.monotonic()
        self.chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        self.content_length = None if self.chunked else _parse_content_length(headers)
        self.check_size(self.content_length or 0)

    @property
    def has_body(self) -> bool:
        """Whether the headers announce a body."""
        return self.chunked or bool(self.content_length)

    @property
    def is_complete(self) -> bool:
        """Whether the bytes of Content-Length were received; never for a chunked body."""
        return self.received == self.content_length

    def count(self, size: int) -> None:
        """Add ``size`` received bytes.

        Raises:
            PayloadTooLarge: the body passes the limit.
        """
        self.received += size
        self.check_size(self.received)

    def check_size(self, size: int) -> None:
        """Reject a body of ``size`` bytes, as it was sent, that is over the limit.

        Raises:
            PayloadTooLarge: it is.
        """
        if self._max_size and size > self._max_size:
            raise PayloadTooLarge(
                f"The request body is larger than the limit of {self._max_size} bytes (DRUM_MAX_UPLOAD_SIZE)."
            )

    def require_complete(self) -> None:
        """Check the length after the last byte.

        Raises:
            BadRequest: the length differs from Content-Length.
        """
        if self.content_length is not None and self.received != self.content_length:
            raise BadRequest(f"The request body ended early: {self.received} of {self.content_length} bytes arrived.")

    def extend_deadline(self, seconds: float) -> None:
        """Exclude time in which the server, not the client, was slow."""
        self._started += seconds

    @property
    def time_left(self) -> float | None:
        """Seconds until the deadline of the next bytes, negative after it; None without a limit."""
        if not self._upload_timeout:
            return None
        allowed = self._upload_timeout + self.received / MIN_RATE
        return self._started + allowed - time.monotonic()

    def timeout_error(self) -> RequestTimeout:
        """Return the error of a body that missed its deadline."""
        return RequestTimeout(
            f"The request body came too slowly: {self.received} bytes in {time.monotonic() - self._started:.0f} s "
            "(DRUM_UPLOAD_TIMEOUT)."
        )


def _parse_content_length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length")
    if text is None:
        return None
    text = text.strip(" \t")
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_LENGTH_DIGITS):
        raise BadRequest("The Content-Length header is not a number.")
    return int(text)
