"""The progress of one request body: how much may come, how much has come, and whether it comes fast enough."""

import time
from collections.abc import Mapping

from datarobot_drum.drum.exceptions import BadRequest, PayloadTooLarge, RequestTimeout

MIN_RATE = 500
"""Bytes a second that a body must bring on average once ``upload_timeout`` is over."""

MAX_LENGTH_DIGITS = 1000
"""Digits of a Content-Length; Python converts no more than a few thousand."""


class BodyProgress:
    """Counts a body on its way in.

    Args:
        headers: of the request.
        max_size: largest body in bytes; 0 for no limit.
        upload_timeout: seconds a body may take, and one more for every ``MIN_RATE`` bytes of it; 0 for no limit.

    Raises:
        PayloadTooLarge: Content-Length is over the limit.
        BadRequest: Content-Length is no number.
    """

    def __init__(self, headers: Mapping[str, str], max_size: int = 0, upload_timeout: float = 0.0) -> None:
        self._max_size = max_size
        self._upload_timeout = upload_timeout
        self._received = 0
        self._started = time.monotonic()
        self.chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        self.content_length = None if self.chunked else _parse_content_length(headers)
        self.check_size(self.content_length or 0)

    @property
    def has_body(self) -> bool:
        """Whether there is a body to wait for."""
        return self.chunked or bool(self.content_length)

    def count(self, size: int) -> None:
        """``size`` more bytes came.

        Raises:
            PayloadTooLarge: they pass the limit; nothing more should be read.
        """
        self._received += size
        self.check_size(self._received)

    def check_size(self, size: int) -> None:
        """Refuse a body of ``size`` bytes, as sent or unpacked, that is over the limit.

        Raises:
            PayloadTooLarge: it is.
        """
        if self._max_size and size > self._max_size:
            raise PayloadTooLarge(
                f"The request body is larger than the limit of {self._max_size} bytes (DRUM_FASTAPI_MAX_UPLOAD_SIZE)."
            )

    def require_complete(self) -> None:
        """To be asked after the last byte.

        Raises:
            BadRequest: fewer came than Content-Length said.
        """
        if self.content_length is not None and self._received != self.content_length:
            raise BadRequest(f"The request body ended early: {self._received} of {self.content_length} bytes arrived.")

    def extend_deadline(self, seconds: float) -> None:
        """Add time that passed for want of somebody to take the bytes, which is not the client's fault."""
        self._started += seconds

    @property
    def time_left(self) -> float | None:
        """Seconds in which the next bytes must come, 0 or less when the body is too slow; None without a limit."""
        if not self._upload_timeout:
            return None
        allowed = self._upload_timeout + self._received / MIN_RATE
        return self._started + allowed - time.monotonic()

    def timeout_error(self) -> RequestTimeout:
        """What a body answers that used up its time."""
        return RequestTimeout(
            f"The request body came too slowly: {self._received} bytes in {time.monotonic() - self._started:.0f} s "
            "(DRUM_FASTAPI_UPLOAD_TIMEOUT)."
        )


def _parse_content_length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_LENGTH_DIGITS):
        raise BadRequest("The Content-Length header is not a number.")
    return int(text)
