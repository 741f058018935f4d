"""Translates between Starlette's requests and responses and the core's."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager, suppress
from functools import partial
from typing import TypeVar

import anyio
from starlette.datastructures import FormData
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from datarobot_drum.drum.exceptions import (
    BadRequest,
    InsufficientStorage,
    PayloadTooLarge,
    RequestError,
    RequestTimeout,
)
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.body.progress import BodyProgress
from datarobot_drum.drum.serving.body.reader import BodyReader, RequestBody
from datarobot_drum.drum.serving.body.spooled_file import SpooledUploadFile
from datarobot_drum.drum.serving.execution.streaming import ChunkStream
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse, parse_query
from datarobot_drum.drum.serving.request_log import CLIENT_CLOSED_REQUEST

T = TypeVar("T")

DISK_THREADS = 4
DRAIN_SECONDS = 10.0
"""Seconds for which the rest of a rejected body is read and dropped, so that its client can read the response."""

_disk_threads = ThreadPoolExecutor(DISK_THREADS, "drum-disk")
"""Separate from the framework's threads, so that neither pool waits for the other."""


def request_headers(request: Request) -> Headers:
    """Return the headers of a request as hooks see them."""
    return Headers.from_raw(request.scope["headers"])


def to_request(request: Request, headers: Headers, body: RequestBody) -> ModelRequest:
    """Translate a request whose body has been read."""
    query = request.scope["query_string"]
    return ModelRequest(
        method=request.method,
        headers=headers,
        query=parse_query(query.decode("latin-1")) if query else {},
        body=body.raw,
        parts=tuple(body.parts),
    )


def to_starlette(response: ModelResponse) -> Response:
    """Translate a response; a stream is sent chunk by chunk as it is produced."""
    headers = {"content-type": response.media_type, **response.headers}
    if isinstance(response.content, ChunkStream):
        return ChunkStreamResponse(response.content, response.status, headers)
    return Response(response.content, response.status, headers)


class BodyRejected(Exception):
    """The request is rejected with ``error`` while its client may still be sending."""

    def __init__(self, error: RequestError) -> None:
        super().__init__(error.message)
        self.error = error


async def read_body(
    request: Request, headers: Mapping[str, str], limits: BodyLimits, form_fields: frozenset[str]
) -> RequestBody:
    """Read the whole body; memory stays bounded, and the event loop never writes to disk.

    Raises:
        BodyRejected: ``BodyReader`` rejected the body before its end; nothing of it is kept.
        RequestError: the body is broken or incomplete.
        ClientDisconnect: the client disconnected before the end of the body.
    """
    try:
        reader = BodyReader(headers, limits, form_fields)
    except RequestError as error:
        raise BodyRejected(error) from error
    form: FormData | None = getattr(request, "_form", None)
    if form is not None and form_fields:
        reader.close()
        return await _from_form(form, form_fields)
    try:
        try:
            await _feed(reader, request)
        except (PayloadTooLarge, RequestTimeout, InsufficientStorage) as error:
            raise BodyRejected(error) from error
        return await _on_disk_thread(reader.finish) if reader.on_disk else reader.finish()
    except BaseException:  # a cancellation, too, must leave no temporary file
        reader.close()
        raise


async def _from_form(form: FormData, form_fields: frozenset[str]) -> RequestBody:
    """Return the parts of a form that a dependency has parsed already; its files are wrapped, not copied."""
    body = RequestBody()
    for name, value in form.multi_items():
        if name not in form_fields:
            continue
        if isinstance(value, str):
            body.parts.append(SpooledUploadFile.from_bytes(value.encode(), name=name))
        else:
            part = SpooledUploadFile(value, name=name)
            await part.read_to_spool()
            body.parts.append(part)
    return body


async def _feed(reader: BodyReader, request: Request) -> None:
    """Feed the body to ``reader`` as it comes. One deadline, moved on with each chunk, limits how slow it may be."""
    progress = reader.progress
    with anyio.move_on_after(progress.time_left) as scope, _consumed_bodies():
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                if not chunk:
                    continue
                if reader.reserve_memory(len(chunk)):
                    reader.feed(chunk)
                else:
                    scope.deadline = math.inf
                    await _on_disk_thread(partial(reader.feed, chunk))
                if not progress.is_complete:
                    scope.deadline = _deadline(progress)
    if scope.cancelled_caught:
        raise progress.timeout_error()


def _deadline(progress: BodyProgress) -> float:
    time_left = progress.time_left
    return math.inf if time_left is None else anyio.current_time() + time_left


@contextmanager
def _consumed_bodies() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # Starlette's "Stream consumed"
        raise BadRequest("Code before this route consumed the request body without keeping it.") from error


async def body_chunks(request: Request, progress: BodyProgress) -> AsyncGenerator[bytes, None]:
    """Yield the body as it comes, also one that a middleware or a dependency has read before.

    Raises:
        RequestTimeout: the client is too slow.
        BadRequest: something has consumed the body without keeping it.
        ClientDisconnect: the client disconnected before the end of the body.
    """
    async with aclosing(request.stream()) as chunks:
        while True:
            with anyio.move_on_after(progress.time_left) as scope, _consumed_bodies():
                chunk = await anext(chunks, None)
            if scope.cancelled_caught:
                raise progress.timeout_error()
            if chunk is None:
                return
            if chunk:
                yield chunk


async def _on_disk_thread(work: Callable[[], T]) -> T:
    """Return the result of ``work``. On cancellation, wait: the work still uses these buffers."""
    done = asyncio.get_running_loop().run_in_executor(_disk_threads, work)
    try:
        return await asyncio.shield(done)
    finally:
        while not done.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([done])


async def wait_for_disconnect(receive: Receive) -> None:
    """Return once the client has disconnected.

    Never returns if ``receive`` repeats the body, as some middlewares' replacements for it do for ever.
    """
    ended = False
    while (message := await receive())["type"] != "http.disconnect":
        if ended:
            await asyncio.get_running_loop().create_future()
        ended = not message.get("more_body", False)


class ChunkStreamResponse(StreamingResponse):
    """A streamed response. However it ends, its producer stops at the next chunk."""

    def __init__(self, stream: ChunkStream, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(stream, status, headers)
        self._stream = stream

    async def listen_for_disconnect(self, receive: Receive) -> None:
        await wait_for_disconnect(receive)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._stream.cancel()


class DrainingResponse(Response):
    """A response to a client that is still sending: the rest of its body is read for a while, then the connection ends.

    Closing at once would reset the connection, and the client would never see the reason.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*self.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with anyio.move_on_after(DRAIN_SECONDS):
            while (await receive()).get("more_body", False):
                pass
        await send({"type": "http.response.body", "body": b""})


def to_draining(response: ModelResponse) -> Response:
    """Translate the rejection of a body that the client may still be sending."""
    return DrainingResponse(
        response.content, response.status, {"content-type": response.media_type, **response.headers}
    )


def disconnected() -> Response:
    """Return what ends a request whose client has disconnected."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


__all__ = [
    "BodyRejected",
    "ClientDisconnect",
    "body_chunks",
    "disconnected",
    "read_body",
    "request_headers",
    "to_draining",
    "to_request",
    "to_starlette",
    "wait_for_disconnect",
]
