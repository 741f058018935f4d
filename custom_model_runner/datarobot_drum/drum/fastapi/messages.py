"""Between ASGI messages and the core's request and response."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

import anyio
from starlette.types import Message, Receive, Scope, Send

from datarobot_drum.drum.exceptions import (
    BadRequest,
    InsufficientStorage,
    PayloadTooLarge,
    RequestError,
    RequestTimeout,
)
from datarobot_drum.drum.fastapi.waiting import AtOnceOrLater
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.body.progress import BodyProgress
from datarobot_drum.drum.serving.body.reader import BodyReader, RequestBody
from datarobot_drum.drum.serving.execution.streaming import ChunkStream
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse, parse_query

T = TypeVar("T")

DISK_THREADS = 4
DRAIN_SECONDS = 10.0
"""How long the rest of a refused body is read and thrown away, so that its sender gets to see the answer."""

_disk_threads = ThreadPoolExecutor(DISK_THREADS, "drum-disk")
"""Of their own: they must not wait for those of the framework, nor the other way round."""


def request_headers(scope: Scope) -> Headers:
    return Headers.from_raw(scope["headers"])


def to_request(scope: Scope, headers: Headers, body: RequestBody) -> ModelRequest:
    query = scope["query_string"]
    return ModelRequest(
        method=scope["method"],
        headers=headers,
        query=parse_query(query.decode("latin-1")) if query else {},
        body=body.raw,
        parts=tuple(body.parts),
    )


class BodyRejected(Exception):
    """The request is refused with ``error`` while its client may still be sending."""

    def __init__(self, error: RequestError) -> None:
        super().__init__(error.message)
        self.error = error


async def read_body(
    receive: Receive, headers: Mapping[str, str], limits: BodyLimits, form_fields: frozenset[str]
) -> RequestBody:
    """The whole body; memory stays bounded, and the disk is never written on the event loop.

    Raises:
        UnreadBody: ``BodyReader`` refused it before its end; what had been received is given back.
        RequestError: it is broken or incomplete.
    """
    try:
        reader = BodyReader(headers, limits, form_fields)
    except RequestError as error:
        raise BodyRejected(error) from error
    try:
        try:
            await _feed(reader, receive)
        except (PayloadTooLarge, RequestTimeout, InsufficientStorage) as error:
            raise BodyRejected(error) from error
        return await _on_disk_thread(reader.finish) if reader.on_disk else reader.finish()
    except BaseException:  # cancellation too: nothing that was received may stay behind
        reader.close()
        raise


async def _feed(reader: BodyReader, receive: Receive) -> None:
    more = True
    while more:
        message = await next_message(reader.progress, receive)
        more = message.get("more_body", False)
        chunk = message.pop("body", b"")
        if reader.reserve_memory(len(chunk)):
            reader.feed(chunk)
        else:
            await _on_disk_thread(partial(reader.feed, chunk))
        del chunk  # free it before waiting for the next one


async def next_message(progress: BodyProgress, receive: Receive) -> Message:
    """The next piece of the body.

    Raises:
        RequestTimeout: the client is too slow.
        BadRequest: it has left.
    """
    time_left = progress.time_left
    if time_left is None:
        message = await receive()
    else:
        coming: AtOnceOrLater[Message] = AtOnceOrLater(receive())
        if not coming.is_there:  # no timer for a body that came with its headers
            with anyio.move_on_after(time_left) as scope:
                await coming
            if scope.cancelled_caught:
                raise progress.timeout_error()
        message = coming.result
    if message["type"] == "http.disconnect":
        raise BadRequest("The client left before the request body was complete.")
    return message


async def _on_disk_thread(work: Callable[[], T]) -> T:
    """The outcome of ``work``; even who is cancelled waits for its end, since it uses what he would give back."""
    done = asyncio.get_running_loop().run_in_executor(_disk_threads, work)
    try:
        return await asyncio.shield(done)
    finally:
        while not done.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([done])


async def send_response(response: ModelResponse, receive: Receive, send: Send) -> None:
    """Send an answer, whole or chunk by chunk as it is made; a client that leaves ends the making."""
    content = response.content
    if isinstance(content, bytes):
        await send(response_start(response))
        await send({"type": "http.response.body", "body": content})
    elif isinstance(content, ChunkStream):
        await _send_stream(response_start(response), content, receive, send)


async def _send_stream(start: Message, stream: ChunkStream, receive: Receive, send: Send) -> None:
    listener = asyncio.ensure_future(disconnect(receive))
    listener.add_done_callback(lambda _: stream.abandon())
    try:
        await send(start)
        async for chunk in stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if not listener.done():
            await send({"type": "http.response.body", "body": b""})
    finally:
        stream.abandon()
        listener.cancel()


async def disconnect(receive: Receive) -> None:
    """Return once the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def respond_and_drain(response: ModelResponse, receive: Receive, send: Send) -> None:
    """Answer a client that is still sending, read on for a while, then close the connection.

    Closing at once would reset the connection, and the client would never see why it was refused.
    """
    await send(response_start(response, (b"connection", b"close")))
    await send({"type": "http.response.body", "body": response.content, "more_body": True})
    with anyio.move_on_after(DRAIN_SECONDS):
        more = True
        while more:
            more = (await receive()).get("more_body", False)
    await send({"type": "http.response.body", "body": b""})


def header_fields(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them.

    Raises:
        UnicodeEncodeError: HTTP has no such character.
    """
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def response_start(response: ModelResponse, *extra: tuple[bytes, bytes]) -> Message:
    """How an answer begins."""
    length = [(b"content-length", b"%d" % len(response.content))] if isinstance(response.content, bytes) else []
    headers = [
        (b"content-type", response.media_type.encode("latin-1")),
        *length,
        *header_fields(response.headers),
        *extra,
    ]
    return {"type": "http.response.start", "status": int(response.status), "headers": headers}
