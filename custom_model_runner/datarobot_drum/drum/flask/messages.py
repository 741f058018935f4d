"""Between WSGI and the core's request and response."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flask import Response
from werkzeug.wsgi import get_input_stream

from datarobot_drum.drum.exceptions import BadRequest
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.body.progress import BodyProgress
from datarobot_drum.drum.serving.body.reader import BodyReader, RequestBody
from datarobot_drum.drum.serving.body.spooled_file import CHUNK_SIZE
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse, parse_query

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def request_headers(environ: WSGIEnvironment) -> Headers:
    fields = [(key[5:].replace("_", "-"), value) for key, value in environ.items() if key.startswith("HTTP_")]
    for key, name in (("CONTENT_TYPE", "Content-Type"), ("CONTENT_LENGTH", "Content-Length")):
        if environ.get(key):
            fields.append((name, environ[key]))
    return Headers(fields)


def to_request(environ: WSGIEnvironment, headers: Headers, body: RequestBody) -> ModelRequest:
    return ModelRequest(
        method=environ["REQUEST_METHOD"],
        headers=headers,
        query=parse_query(environ.get("QUERY_STRING", "")),
        body=body.raw,
        parts=tuple(body.parts),
    )


def read_body(
    environ: WSGIEnvironment, headers: Headers, limits: BodyLimits, form_fields: frozenset[str]
) -> RequestBody:
    """The whole body, chunked or with Content-Length.

    Raises:
        RequestError: what ``BodyReader`` found wrong; what had been received is given back.
    """
    reader = BodyReader(headers, limits, form_fields)
    try:
        for chunk in body_chunks(environ, reader.progress):
            reader.feed(chunk)
        return reader.finish()
    except BaseException:  # whatever ended it, nothing that was received may stay behind
        reader.close()
        raise


def body_chunks(environ: WSGIEnvironment, progress: BodyProgress) -> Iterator[bytes]:
    """The body as it comes; whoever takes a chunk counts it.

    Raises:
        RequestTimeout: the client is too slow.
        BadRequest: it has left, or what it sends is malformed.
    """
    stream = get_input_stream(environ, safe_fallback=True)
    while chunk := _read(stream, progress):
        yield chunk
        if progress.time_left is not None and progress.time_left <= 0:
            raise progress.timeout_error()


def _read(stream: Any, progress: BodyProgress) -> bytes:
    try:
        return _read_chunk(stream)
    except Exception as error:  # each WSGI server has errors of its own for malformed chunks and lost clients
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            raise progress.timeout_error() from error
        raise BadRequest("The request body ended early, or its chunks are malformed.") from error


def _read_chunk(stream: Any) -> bytes:
    """At most CHUNK_SIZE bytes.

    Not by ``RawIOBase.read``: that hands out its own bytearray, which Werkzeug's reader of chunks shortens when the
    client leaves in mid-chunk, and then reads beyond its end. A view cannot be resized, so the reader raises instead.
    """
    if not isinstance(stream, io.RawIOBase):
        chunk: bytes = stream.read(CHUNK_SIZE)
        return chunk
    buffer = memoryview(bytearray(CHUNK_SIZE))
    return bytes(buffer[: stream.readinto(buffer) or 0])


def to_flask(response: ModelResponse) -> Response:
    answer = Response(response.content, int(response.status), content_type=response.media_type)
    answer.headers.extend(response.headers)
    return answer
