"""Decodes gzip bodies in small steps."""

import zlib
from collections.abc import Iterator

from datarobot_drum.drum.exceptions import BadRequest, UnsupportedContentEncoding
from datarobot_drum.drum.serving.body.spooled_file import CHUNK_SIZE

_INPUT_SIZE = 4096
"""Bytes decoded at a time. The decoder copies its unused input at the end of each of many small members."""


class GzipDecoder:
    """Decodes one or more gzip members, at most CHUNK_SIZE bytes at a time.

    So a size limit stops a decompression bomb before it is unpacked.
    """

    def __init__(self) -> None:
        self._stream = _new_stream()

    @property
    def complete(self) -> bool:
        """Whether the input ended with a complete member."""
        return self._stream.eof

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the decoded bytes of ``chunk``.

        Raises:
            BadRequest: it is not valid gzip.
        """
        for start in range(0, len(chunk), _INPUT_SIZE):
            yield from self._decode(chunk[start : start + _INPUT_SIZE])

    def _decode(self, rest: bytes) -> Iterator[bytes]:
        has_output = False
        while rest or has_output:
            if self._stream.eof:
                self._stream = _new_stream()
            try:
                decoded = self._stream.decompress(rest, CHUNK_SIZE)
            except zlib.error as error:
                raise BadRequest("The request body is not valid gzip.") from error
            has_output = len(decoded) == CHUNK_SIZE and not self._stream.eof  # the decoder may hold more
            rest = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            yield decoded


def decoder_for(content_encoding: str) -> GzipDecoder | None:
    """Return the decoder of a ``Content-Encoding`` header; None for an unencoded body.

    Raises:
        UnsupportedContentEncoding: it is not gzip.
    """
    name = content_encoding.strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip"):
        return GzipDecoder()
    raise UnsupportedContentEncoding(f"Content-Encoding {name!r} is not supported: send the body plain or as gzip.")


def _new_stream() -> "zlib._Decompress":
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
