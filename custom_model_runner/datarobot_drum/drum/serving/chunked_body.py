"""Chunked request bodies, decoded by the parser that the FastAPI server uses, so all servers read them alike."""

import io
from collections.abc import Callable
from typing import Any

import httptools

from datarobot_drum.drum.serving.request_head import MAX_HEAD_BYTES

MAX_FRAMING_RATIO = 16
"""Bytes of sizes, extensions and line ends per byte of data; chunks of one byte need 5."""

_HEAD = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


def is_framing_too_large(framing: int, data: int) -> bool:
    """Return whether chunk sizes, extensions and trailers outweigh the ``data`` between them."""
    return framing > MAX_HEAD_BYTES + MAX_FRAMING_RATIO * data


class ChunkedBody(io.RawIOBase):
    """The data of a chunked body. Reads past its end, so its connection cannot serve another request.

    Trailer fields are dropped.

    Args:
        receive: returns the next bytes of the connection; none at its end.
    """

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._data = bytearray()
        self._data_size = self._framing_size = 0
        self._has_ended = False
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(_HEAD)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next data; 0 bytes after the last chunk.

        Raises:
            OSError: the chunks are malformed, or the connection ended before the last one.
        """
        while not (self._data or self._has_ended):
            self._feed(self._receive())
        count = min(len(buffer), len(self._data))
        buffer[:count] = self._data[:count]
        del self._data[:count]
        return count

    def on_body(self, data: bytes) -> None:
        """Take data of a chunk, a callback of the parser."""
        if not self._has_ended:
            self._data += data

    def on_message_complete(self) -> None:
        """Note the end of the body, a callback of the parser."""
        self._has_ended = True

    def _feed(self, received: bytes) -> None:
        if not received:
            raise OSError("The body ended before its last chunk.")
        try:
            self._parser.feed_data(received)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._has_ended:  # else it is about what follows the body
                raise OSError("The chunks are malformed.") from error
        self._data_size += len(self._data)
        self._framing_size += len(received) - len(self._data)
        if not self._has_ended and is_framing_too_large(self._framing_size, self._data_size):
            raise OSError("The chunks hold more framing than data.")
