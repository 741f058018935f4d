"""Between ASGI messages and the core's request and response."""

from collections.abc import AsyncIterator, Mapping

import anyio
import anyio.to_thread
from starlette.types import Receive, Scope, Send

from datarobot_drum.drum.exceptions import BadRequest
from datarobot_drum.drum.serving.bodies import Body, BodyLimits, BodyReader
from datarobot_drum.drum.serving.messages import Headers, ModelRequest, ModelResponse, parse_query

WRITE_SIZE = 1024 * 1024
"""Bytes gathered for one visit to the disk thread: a thread hop per network packet would cost more than the write."""

_disk_threads: anyio.CapacityLimiter | None = None


def request_headers(scope: Scope) -> Headers:
    return Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])


def to_request(scope: Scope, headers: Headers, body: Body) -> ModelRequest:
    query = scope["query_string"]
    return ModelRequest(
        method=scope["method"],
        headers=headers,
        query=parse_query(query.decode("latin-1")) if query else {},
        body=body.whole,
        parts=tuple(body.parts),
    )


async def read_body(
    receive: Receive, headers: Mapping[str, str], limits: BodyLimits, form_fields: frozenset[str]
) -> Body:
    """The whole body; memory stays bounded, and the disk is never written on the event loop.

    Raises:
        RequestError: what ``BodyReader`` found wrong; what had been received is given back.
    """
    reader = BodyReader(headers, limits, form_fields)
    try:
        async for chunk in _chunks(receive):
            if reader.would_touch_disk(len(chunk)):
                await _on_disk_thread(reader, chunk)
            else:
                reader.feed(chunk)
        return reader.finish()
    except BaseException:  # cancellation too: nothing that was received may stay behind
        reader.close()
        raise


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    pending = bytearray()
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The client left before the request body was complete.")
        body = message.get("body", b"")
        more = message.get("more_body", False)
        if not more and not pending:
            yield body
            return
        pending += body
        if len(pending) >= WRITE_SIZE or not more:
            yield bytes(pending)
            pending.clear()


async def _on_disk_thread(reader: BodyReader, chunk: bytes) -> None:
    # A limiter of its own: these threads must not wait for those of the framework, nor the other way round.
    global _disk_threads
    if _disk_threads is None:
        _disk_threads = anyio.CapacityLimiter(4)
    await anyio.to_thread.run_sync(reader.feed, chunk, limiter=_disk_threads)


async def send_response(response: ModelResponse, send: Send) -> None:
    """Send a complete answer."""
    content = response.content
    if not isinstance(content, bytes):
        raise TypeError("A streamed answer has no complete body.")
    headers = [
        (b"content-type", response.media_type.encode("latin-1")),
        (b"content-length", b"%d" % len(content)),
    ]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
    await send({"type": "http.response.start", "status": int(response.status), "headers": headers})
    await send({"type": "http.response.body", "body": content})
