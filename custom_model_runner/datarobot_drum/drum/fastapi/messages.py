"""Translates between Starlette's requests and responses and the core's."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager

import anyio
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from datarobot_drum.drum.exceptions import BadRequest
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.body.reader import RequestBody
from datarobot_drum.drum.serving.body.receiving import receive_body
from datarobot_drum.drum.serving.body.spooled_file import SpooledUploadFile
from datarobot_drum.drum.serving.execution.streaming import ChunkStream
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.serving.media_type import MediaType
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse, parse_query
from datarobot_drum.drum.serving.request_log import CLIENT_CLOSED_REQUEST

FORM_TYPES = ("multipart/form-data", "application/x-www-form-urlencoded")

DRAIN_SECONDS = 10.0
"""Seconds for which the rest of a rejected body is read and dropped, so that its client can read the response."""


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
        path_values=request.path_params,
    )


async def read_body(request: Request, headers: Headers, limits: BodyLimits, form_fields: frozenset[str]) -> RequestBody:
    """Read the body as ``receive_body`` does, also one that a middleware or a dependency has read before.

    Raises:
        ClientDisconnect: the client disconnected before the end of the body.
        BodyRejected, RequestError: as ``receive_body`` and ``consumed_body_errors``.
    """
    form: FormData | None = getattr(request, "_form", None)
    if form is not None and form_fields and MediaType.parse(headers.get("Content-Type")).essence in FORM_TYPES:
        return await _from_form(form, form_fields)
    with consumed_body_errors():
        async with aclosing(request.stream()) as chunks:
            return await receive_body(chunks, headers, limits, form_fields)


async def _from_form(form: FormData, form_fields: frozenset[str]) -> RequestBody:
    """Return the wanted parts of a form that was parsed before; its files are wrapped, not copied."""
    body = RequestBody()
    for name, value in form.multi_items():
        if name in form_fields and isinstance(value, str):
            body.parts.append(SpooledUploadFile.from_bytes(value.encode(), name=name))
        elif name in form_fields:
            body.parts.append(SpooledUploadFile(value, name=name))
            await body.parts[-1].read_to_spool()
    return body


@contextmanager
def consumed_body_errors() -> Iterator[None]:
    """Translate the error of a body that code before this route has consumed without keeping it.

    Raises:
        BadRequest: it has.
    """
    try:
        yield
    except RuntimeError as error:
        if str(error) != "Stream consumed":  # Starlette's only sign
            raise
        raise BadRequest("Code before this route consumed the request body without keeping it.") from error


async def wait_for_disconnect(receive: Receive) -> None:
    """Return once the client has disconnected.

    A second end of the body is no disconnect: some middlewares replace ``receive`` with one that repeats the body.
    """
    ended = False
    while (message := await receive())["type"] != "http.disconnect":
        if ended:
            await asyncio.get_running_loop().create_future()
        ended = not message.get("more_body", False)


def to_starlette(response: ModelResponse) -> Response:
    """Translate a response; a stream is sent chunk by chunk as it is produced."""
    if isinstance(response.content, ChunkStream):
        return ChunkStreamResponse(response.content, response.status, _headers(response))
    return Response(response.content, response.status, _headers(response))


def to_draining(response: ModelResponse) -> Response:
    """Translate the rejection of a body that the client may still be sending."""
    return DrainingResponse(response.content, response.status, {**_headers(response), "connection": "close"})


def disconnected() -> Response:
    """Return an empty response for the log: its client has disconnected."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


def _headers(response: ModelResponse) -> Mapping[str, str]:
    return {"content-type": response.media_type, **response.headers}


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
    """A response after which the rest of the request is read for a while, then the connection ends.

    Closing at once would reset the connection, and the client would never see the response.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with anyio.move_on_after(DRAIN_SECONDS):
            while (await receive()).get("more_body", False):
                pass
        await send({"type": "http.response.body", "body": b""})
