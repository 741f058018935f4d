"""Between WSGI and the core's request and response."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

from flask import Response
from werkzeug.exceptions import ClientDisconnected, HTTPException
from werkzeug.wsgi import get_input_stream

from datarobot_drum.drum.exceptions import BadRequest
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.body.progress import BodyProgress
from datarobot_drum.drum.serving.body.reader import BodyReader, RequestBody
from datarobot_drum.drum.serving.body.spooled_file import CHUNK_SIZE, SPOOL_MAX_SIZE
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse, parse_query

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def request_headers(environ: WSGIEnvironment) -> Headers:
    """Return the headers of the request in the order of ``environ``."""
    fields = [(key[5:].replace("_", "-"), value) for key, value in environ.items() if key.startswith("HTTP_")]
    for key, name in (("CONTENT_TYPE", "Content-Type"), ("CONTENT_LENGTH", "Content-Length")):
        if environ.get(key):
            fields.append((name, environ[key]))
    return Headers(fields)


def to_request(
    environ: WSGIEnvironment, headers: Headers, body: RequestBody, path_values: Mapping[str, str] | None = None
) -> ModelRequest:
    """Translate a WSGI request whose body has been read."""
    return ModelRequest(
        method=environ["REQUEST_METHOD"],
        headers=headers,
        query=parse_query(environ.get("QUERY_STRING", "")),
        body=body.raw,
        parts=tuple(body.parts),
        path_values=path_values or {},
    )


def read_body(
    environ: WSGIEnvironment, headers: Headers, limits: BodyLimits, form_fields: frozenset[str]
) -> RequestBody:
    """The whole body, chunked or with Content-Length.

    Raises:
        RequestError: ``BodyReader`` rejected it; what had been received is released.
    """
    reader = BodyReader(headers, limits, form_fields)
    try:
        for chunk in body_chunks(environ, reader.progress):
            reader.feed(chunk)
        return reader.finish()
    except BaseException:  # whatever ended it, what was received must be released
        reader.close()
        raise


def body_chunks(environ: WSGIEnvironment, progress: BodyProgress) -> Iterator[bytes]:
    """Yield the body as it arrives; the caller counts each chunk.

    Raises:
        RequestTimeout: the client is too slow.
        BadRequest: the client has disconnected, or what it sends is malformed.
    """
    stream = environ["wsgi.input"]
    if isinstance(stream, ReplayableInput):
        stream.rewind()
    else:
        stream = get_input_stream(environ, safe_fallback=True)
    while chunk := _read(stream, progress):
        yield chunk
        if progress.time_left is not None and progress.time_left <= 0:
            raise progress.timeout_error()


class ReplayableInput(io.RawIOBase):
    """A WSGI input that can be read again from its start, so that an extension may read the body first.

    What is read before ``rewind`` is recorded: in memory up to 10 MiB, beyond that in a temporary file. What is read
    after that is not, so the body that the server reads itself is not copied.
    """

    def __init__(self, stream: Any, directory: str | None = None) -> None:
        self._stream = stream
        self._record = SpooledTemporaryFile(SPOOL_MAX_SIZE, dir=directory)
        self._is_recording = True
        self._has_ended = False

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Return ``size`` bytes, fewer only at the end of the body, in however many chunks they arrive."""
        if size is None or size < 0:
            return self.readall()
        content = bytearray()
        while len(content) < size:
            buffer = memoryview(bytearray(min(size - len(content), CHUNK_SIZE)))
            count = self.readinto(buffer)
            if not count:
                break
            content += buffer[:count]
        return bytes(content)

    def readinto(self, buffer: Any) -> int:
        """Read from the record after a rewind, else from the client."""
        view = memoryview(buffer)
        if self._is_recording:
            count = self._receive_into(view)
            self._record.write(view[:count])
            return count
        recorded = self._record.read(len(view))
        view[: len(recorded)] = recorded
        return len(recorded) or self._receive_into(view)

    def rewind(self) -> None:
        """Read from the start again, without further recording."""
        self._record.seek(0)
        self._is_recording = False

    def close(self) -> None:
        """Release the record; the client's connection belongs to the WSGI server."""
        self._record.close()
        super().close()

    def _receive_into(self, view: memoryview) -> int:
        if self._has_ended:  # servers may block on a read beyond the end
            return 0
        try:
            count = _read_into(self._stream, view)
        except HTTPException:
            raise
        except Exception as error:  # each WSGI server has its own errors for malformed chunks and disconnects
            raise ClientDisconnected() from error
        self._has_ended = count == 0
        return count


def _read_into(stream: Any, view: memoryview) -> int:
    """Read at most ``len(view)`` bytes.

    Not by ``RawIOBase.read``: Werkzeug's reader of chunks shortens the buffer of that when the client disconnects in
    mid-chunk, and then reads beyond its end. A memoryview cannot be resized, so the reader raises instead.
    """
    if isinstance(stream, io.RawIOBase):
        return stream.readinto(view) or 0
    chunk: bytes = stream.read(len(view))
    view[: len(chunk)] = chunk
    return len(chunk)


def _read(stream: Any, progress: BodyProgress) -> bytes:
    buffer = memoryview(bytearray(CHUNK_SIZE))
    try:
        return bytes(buffer[: _read_into(stream, buffer)])
    except Exception as error:  # each WSGI server has its own errors for malformed chunks and disconnects
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            raise progress.timeout_error() from error
        raise BadRequest("The request body ended early, or its chunks are malformed.") from error


def to_flask(response: ModelResponse) -> Response:
    """Translate a response of the core."""
    translated = Response(response.content, int(response.status), content_type=response.media_type)
    translated.headers.extend(response.headers)
    return translated
