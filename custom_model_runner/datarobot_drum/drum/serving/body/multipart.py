"""Splits multipart/form-data bodies (RFC 7578) into spooled parts."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from datarobot_drum.drum.exceptions import BadRequest, FormHeadersTooLarge, PayloadTooLarge
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.body.spooled_file import RESERVE_FACTOR, SpooledUploadFile
from datarobot_drum.drum.serving.media_type import MediaType


class MultipartSink:
    """Stores the wanted parts of a form as its chunks arrive, and drops the others.

    Args:
        content_type: the Content-Type of the request, with its boundary.
        wanted: names of the parts to store.

    Raises:
        BadRequest: the boundary is missing or invalid.
    """

    def __init__(self, content_type: MediaType, limits: BodyLimits, wanted: frozenset[str]) -> None:
        boundary = content_type.parameters.get("boundary")
        if not boundary:
            raise BadRequest("The multipart body has no boundary in its Content-Type.")
        self.parts: list[SpooledUploadFile] = []
        self._limits = limits
        self._wanted = wanted
        self._current: SpooledUploadFile | None = None
        self._count = 0
        self._header_count = self._header_size = 0
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
                # The parser's own limits cannot be set by DRUM_MAX_FORM_HEADERS and its like, so they are off.
                max_header_count=sys.maxsize,
                max_header_size=sys.maxsize,
            )

    @property
    def on_disk(self) -> bool:
        return any(part.on_disk for part in self.parts)

    def reserve_memory(self, size: int) -> bool:
        """Return whether ``size`` more bytes certainly stay in memory.

        The chunk may start parts, which reserve more than their size: memory must have room for all of that.
        """
        if size > self._limits.spool_size or self._limits.budget.would_exceed(size * RESERVE_FACTOR):
            return False
        return self._current is None or self._current.reserve_memory(size)

    def write(self, chunk: bytes) -> None:
        """Parse the next bytes of the form.

        Raises:
            BadRequest: the form is malformed.
            PayloadTooLarge: it has too many parts.
            FormHeadersTooLarge: a part has too many headers, or too large ones.
        """
        with _multipart_errors():
            self._parser.write(chunk)

    def finish(self) -> None:
        """Rewind the parts.

        Raises:
            BadRequest: the closing boundary is missing.
        """
        if not self._ended:
            raise BadRequest("The multipart body ended before its closing boundary.")
        for part in self.parts:
            part.seek(0)

    def _on_part_begin(self) -> None:
        self._count += 1
        limit = self._limits.input.max_form_parts
        if limit and self._count > limit:
            raise PayloadTooLarge(f"The multipart body has more than {limit} parts (DRUM_MAX_FORM_PARTS).")
        self._headers = {}
        self._header_count = self._header_size = 0

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header_bytes(end - start)
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header_bytes(end - start)
        self._header_value += data[start:end]

    def _count_header_bytes(self, size: int) -> None:
        self._header_size += size
        limit = self._limits.input.max_form_header_size
        if limit and self._header_size > limit:
            raise FormHeadersTooLarge(
                f"The headers of a part of the form are larger than {limit} bytes (DRUM_MAX_FORM_HEADER_SIZE)."
            )

    def _on_header_end(self) -> None:
        self._header_count += 1
        limit = self._limits.input.max_form_headers
        if limit and self._header_count > limit:
            raise FormHeadersTooLarge(f"A part of the form has more than {limit} headers (DRUM_MAX_FORM_HEADERS).")
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        disposition = MediaType.parse(_decode(self._headers.get(b"content-disposition")))
        name = disposition.parameters.get("name", "")
        if name not in self._wanted:
            return
        part = self._limits.new_upload()
        part.name = name
        part.filename = disposition.parameters.get("filename")
        part.content_type = _decode(self._headers.get(b"content-type"))
        self._current = part
        self.parts.append(part)

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


def _decode(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
