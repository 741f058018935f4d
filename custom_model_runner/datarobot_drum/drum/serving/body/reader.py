"""Reads request bodies: one way for every body, with or without Content-Length, multipart or raw, on every server.

The reader does no I/O of the network: an adapter feeds it the chunks. It counts and decodes them, and stores them in
spooled uploads. Forms are split while they arrive, so no content is stored twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from datarobot_drum.drum.exceptions import BadRequest
from datarobot_drum.drum.serving.body.gzip_decoder import decoder_for
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.body.multipart import MultipartSink
from datarobot_drum.drum.serving.body.progress import BodyProgress
from datarobot_drum.drum.serving.body.spooled_file import SpooledUploadFile
from datarobot_drum.drum.serving.media_type import MediaType


@dataclass
class RequestBody:
    """A received body: ``raw``, or the wanted ``parts`` of a form. ``close`` releases memory and temporary files."""

    raw: SpooledUploadFile | None = None
    parts: list[SpooledUploadFile] = field(default_factory=list)

    def close(self) -> None:
        if self.raw is not None:
            self.raw.close()
        for part in self.parts:
            part.close()


class BodyReader:
    """Receives one request body chunk by chunk.

    Args:
        headers: of the request.
        form_fields: names of the form parts to keep. Without any, even a form is stored as it is.

    Raises:
        PayloadTooLarge: Content-Length is over the limit.
        UnsupportedContentEncoding: the Content-Encoding is not gzip.
        BadRequest: multipart without a boundary, or a bad Content-Length.
    """

    def __init__(
        self, headers: Mapping[str, str], limits: BodyLimits, form_fields: frozenset[str] = frozenset()
    ) -> None:
        self.progress = BodyProgress(headers, limits.max_size, limits.upload_timeout)
        self._decoder = decoder_for(headers.get("Content-Encoding", ""))
        self._decoded = 0
        self._limits = limits
        content_type = MediaType.parse(headers.get("Content-Type"))
        self._sink: MultipartSink | SpooledUploadFile
        if form_fields and content_type.essence == "multipart/form-data":
            self._sink = form = MultipartSink(content_type, limits, form_fields)
            self._body = RequestBody(parts=form.parts)
        else:
            expected_size = 0 if self._decoder is not None else self.progress.content_length or 0
            self._sink = upload = limits.new_upload(expected_size)
            upload.content_type = content_type.essence or None
            self._body = RequestBody(upload)

    def reserve_memory(self, size: int) -> bool:
        """Reserve memory for the next ``size`` bytes; return False if feeding them may write to disk.

        The decoded size of compressed bytes is unknown, so for them it returns False.
        """
        return self._decoder is None and self._sink.reserve_memory(size)

    @property
    def on_disk(self) -> bool:
        """Whether part of the body is on disk, so that ``finish`` may write to disk."""
        return self._sink.on_disk

    def feed(self, chunk: bytes) -> None:
        """Store the next bytes of the body.

        Raises:
            PayloadTooLarge, FormHeadersTooLarge, BadRequest, InsufficientStorage: read nothing more.
        """
        self.progress.count(len(chunk))
        if self._decoder is None:
            self._sink.write(chunk)
            return
        for decoded in self._decoder.decode(chunk):
            self._decoded += len(decoded)
            self._limits.check_decoded(self._decoded, self.progress.received)
            self._sink.write(decoded)

    def finish(self) -> RequestBody:
        """Return the complete body, rewound.

        Raises:
            BadRequest: bytes are missing: fewer than Content-Length, no closing boundary, half a gzip stream.
        """
        self.progress.require_complete()
        if self._decoder is not None and not self._decoder.complete:
            raise BadRequest("The request body is not a complete gzip stream.")
        if isinstance(self._sink, MultipartSink):
            self._sink.finish()
        else:
            self._sink.seek(0)
        if self._limits.on_received:
            self._limits.on_received(self.progress.received)
        return self._body

    def close(self) -> None:
        """Discard what was received of a body that is not finished."""
        self._body.close()
