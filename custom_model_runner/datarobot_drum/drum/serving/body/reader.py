"""One rule for every request body, with or without Content-Length, multipart or raw, on every server.

The reader does no input: an adapter feeds it the bytes as they come. It counts them, decodes ``gzip``, keeps the
content in spooled uploads and, for routes that take forms, splits multipart on the way, so nothing is stored twice.
"""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from datarobot_drum.drum.exceptions import BadRequest, UnsupportedContentEncoding
from datarobot_drum.drum.serving.body.memory_budget import UNLIMITED, MemoryBudget
from datarobot_drum.drum.serving.body.progress import BodyProgress
from datarobot_drum.drum.serving.body.spooled_file import CHUNK_SIZE, SPOOL_MAX_SIZE, SpooledUploadFile
from datarobot_drum.drum.serving.messages import MediaType

GZIP_BITE = 4096
"""Bytes decoded at a time: what a decoder leaves over is copied, once for each of a hostile body's many members."""

WRITE_SIZE = 64 * 1024
"""Bytes gathered for one write to disk, as long as memory is not short."""

MAX_PARTS = 1000
"""Parts of one form; more is an attack, not a request."""


@dataclass(frozen=True)
class BodyLimits:
    """How large, how slow and where.

    ``max_size``: largest body in bytes, 0 for no limit. ``spool_size``: bytes of one upload held in memory; ``budget``:
    of all of them. ``directory``: of the temporary files. ``upload_timeout``: seconds a body may take, and more for
    what it brings (see ``BodyProgress``); 0 for no limit.
    """

    max_size: int = 0
    spool_size: int = SPOOL_MAX_SIZE
    directory: str | None = None
    budget: MemoryBudget = UNLIMITED
    upload_timeout: float = 0.0


@dataclass
class RequestBody:
    """What was received: the whole body, or the wanted parts of a form. Closing it gives everything back."""

    raw: SpooledUploadFile | None = None
    parts: list[SpooledUploadFile] = field(default_factory=list)

    def close(self) -> None:
        for upload in (self.raw, *self.parts):
            if upload is not None:
                upload.close()


class BodyReader:
    """Receives one request body piece by piece.

    Args:
        headers: of the request.
        limits: sizes in bytes.
        form_fields: names of the form parts to keep; empty means that the route wants the raw bytes, even of a form.

    Raises:
        PayloadTooLarge: at once when Content-Length says so, else as soon as the count passes the limit.
        UnsupportedCoding: a Content-Encoding other than gzip.
        BadRequest: multipart without a boundary, a bad Content-Length.
    """

    def __init__(
        self, headers: Mapping[str, str], limits: BodyLimits, form_fields: frozenset[str] = frozenset()
    ) -> None:
        self.progress = BodyProgress(headers, limits.max_size, limits.upload_timeout)
        self._decoder = _decoder(headers.get("Content-Encoding", ""))
        self._budget = limits.budget
        media_type = MediaType.parse(headers.get("Content-Type"))
        self._sink: _Sink
        if form_fields and media_type.essence == "multipart/form-data":
            self._sink = _MultipartSink(media_type, limits, form_fields)
        else:
            self._sink = _RawSink(limits, media_type, self.progress.content_length or 0 if self._decoder is None else 0)
        self._decoded = 0

    def try_reserve_memory(self, more: int) -> bool:
        """Whether feeding ``more`` bytes may write to disk, so belongs on a thread. Compressed bytes always may."""
        return self._decoder is not None or self._sink.try_reserve_memory(more)

    @property
    def worth_writing(self) -> int:
        """Bytes that are worth a visit to the disk: a hop to its thread for every network packet would cost more."""
        return min(WRITE_SIZE, self._budget.piece)

    @property
    def on_disk(self) -> bool:
        """Whether some of the body has left memory, so that finishing it may write to disk, too."""
        return self._sink.on_disk

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            PayloadTooLarge, BadRequest, InsufficientStorage: nothing more should be read.
        """
        self.progress.count(len(chunk))
        if self._decoder is None:
            self._sink.write(chunk)
        else:
            self._decode(self._decoder, chunk)

    def _decode(self, decoder: "_Gunzip", chunk: bytes) -> None:
        for piece in decoder.pieces(chunk):
            self._decoded += len(piece)
            self.progress.check_size(self._decoded)
            self._sink.write(piece)

    def finish(self) -> RequestBody:
        """The body after its last byte, rewound.

        Raises:
            BadRequest: bytes are missing: fewer than Content-Length, no closing boundary, half a gzip stream.
        """
        self.progress.require_complete()
        if self._decoder is not None and not self._decoder.complete:
            raise BadRequest("The request body is not a complete gzip stream.")
        return self._sink.finish()

    def close(self) -> None:
        """Throw away what was received; for a body that was never finished."""
        self._sink.close()


class _Sink(Protocol):
    @property
    def on_disk(self) -> bool: ...
    def try_reserve_memory(self, more: int) -> bool: ...
    def write(self, chunk: bytes) -> None: ...
    def finish(self) -> RequestBody: ...
    def close(self) -> None: ...


def _new_upload(limits: BodyLimits, expected: int = 0) -> SpooledUploadFile:
    return SpooledUploadFile(
        max_size=limits.spool_size, directory=limits.directory, budget=limits.budget, expected=expected
    )


class _RawSink:
    def __init__(self, limits: BodyLimits, media_type: MediaType, expected: int) -> None:
        self._upload = _new_upload(limits, expected)
        self._upload.content_type = media_type.essence or None

    @property
    def on_disk(self) -> bool:
        return self._upload.on_disk

    def try_reserve_memory(self, more: int) -> bool:
        return self._upload.try_reserve_memory(more)

    def write(self, chunk: bytes) -> None:
        self._upload.write(chunk)

    def finish(self) -> RequestBody:
        self._upload.seek(0)
        return RequestBody(raw=self._upload)

    def close(self) -> None:
        self._upload.close()


class _MultipartSink:
    """Splits multipart/form-data (RFC 7578) as it comes; parts that nobody asked for are dropped unread."""

    def __init__(self, media_type: MediaType, limits: BodyLimits, wanted: frozenset[str]) -> None:
        boundary = media_type.parameters.get("boundary")
        if not boundary:
            raise BadRequest("The multipart body has no boundary in its Content-Type.")
        self._limits = limits
        self._wanted = wanted
        self._parts: list[SpooledUploadFile] = []
        self._current: SpooledUploadFile | None = None
        self._count = 0
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._ended = False
        with _multipart_errors():
            self._parser = MultipartParser(
                boundary.encode("latin-1", "replace"),
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )

    @property
    def on_disk(self) -> bool:
        return any(part.on_disk for part in self._parts)

    def try_reserve_memory(self, more: int) -> bool:
        # A piece may close one part and fill the next, so the current part alone does not tell.
        return (
            more > self._limits.spool_size
            or self._limits.budget.would_refuse(more)
            or (self._current is not None and self._current.try_reserve_memory(more))
        )

    def write(self, chunk: bytes) -> None:
        with _multipart_errors():
            self._parser.write(chunk)

    def finish(self) -> RequestBody:
        if not self._ended:
            raise BadRequest("The multipart body ended before its closing boundary.")
        for part in self._parts:
            part.seek(0)
        return RequestBody(parts=self._parts)

    def close(self) -> None:
        for part in self._parts:
            part.close()

    def _on_part_begin(self) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise BadRequest(f"The multipart body has more than {MAX_PARTS} parts.")
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        disposition = MediaType.parse(_text(self._headers.get(b"content-disposition")))
        name = disposition.parameters.get("name", "")
        if name not in self._wanted:
            return
        upload = _new_upload(self._limits)
        upload.name = name
        upload.filename = disposition.parameters.get("filename")
        upload.content_type = _text(self._headers.get(b"content-type"))
        self._current = upload
        self._parts.append(upload)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current is not None:
            self._current.write(data[start:end])

    def _on_part_end(self) -> None:
        self._current = None

    def _on_end(self) -> None:
        self._ended = True


@contextmanager
def _multipart_errors() -> Iterator[None]:
    try:
        yield
    except FormParserError as error:
        raise BadRequest(f"The multipart body is malformed: {error}.") from error


class _Gunzip:
    """Decodes gzip in small pieces, so a bomb is noticed before it is unpacked. Members may follow each other."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        self._started = False

    @property
    def complete(self) -> bool:
        return self._stream.eof and self._started

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """``chunk`` decoded, at most CHUNK_SIZE bytes at a time."""
        for begin in range(0, len(chunk), GZIP_BITE):
            yield from self._decode(chunk[begin : begin + GZIP_BITE])

    def _decode(self, bite: bytes) -> Iterator[bytes]:
        left, full = bite, False
        while left or full:
            if self._stream.eof:
                self._stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            self._started = True
            try:
                piece = self._stream.decompress(left, CHUNK_SIZE)
            except zlib.error as error:
                raise BadRequest("The request body is not valid gzip.") from error
            full = len(piece) == CHUNK_SIZE and not self._stream.eof  # more may wait inside the decoder
            left = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            yield piece


def _decoder(coding: str) -> _Gunzip | None:
    name = coding.strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip"):
        return _Gunzip()
    raise UnsupportedContentEncoding(f"Content-Encoding {name!r} is not supported: send the body plain or as gzip.")


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
