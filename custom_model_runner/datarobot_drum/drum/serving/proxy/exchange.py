"""One call to the engine on an event loop, streamed both ways."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Protocol

import anyio
import httpx

from datarobot_drum.drum.engine_predictors.client import engine_errors
from datarobot_drum.drum.exceptions import PayloadTooLarge, RequestTimeout
from datarobot_drum.drum.serving.body.receiving import BodyRejected, timed_chunks
from datarobot_drum.drum.serving.proxy.httpx_requests import NO_BODY, to_httpx
from datarobot_drum.drum.serving.proxy.requests import EngineCall, Fields, response_fields
from datarobot_drum.drum.settings.engine import EngineSettings


class ProxyClient(Protocol):
    """The client of a call, as an adapter sees it."""

    def body(self) -> AsyncGenerator[bytes, None]:
        """Yield the chunks of the request body."""

    async def disconnect(self) -> None:
        """Return once the client has disconnected."""

    async def start(self, status: int, fields: Fields) -> None:
        """Send the status and the headers of the response."""

    async def write(self, chunk: bytes, *, more: bool) -> None:
        """Send a chunk of the response body."""


class EngineExchange:
    """Passes a call on to the engine, and its response back. The client's disconnect ends the call."""

    def __init__(self, engine: EngineSettings, http: httpx.AsyncClient, call: EngineCall, client: ProxyClient) -> None:
        self._engine = engine
        self._http = http
        self._call = call
        self._client = client
        self._has_started = False
        self._body_taken = anyio.Event()

    async def run(self) -> bool:
        """Pass the call on; return False if the client disconnected before the response had begun.

        Raises:
            RequestError: the engine failed; if its response had begun, the server has to abort the connection.
            BodyRejected: the request's body failed before the response had begun; also the errors of ``body``.
        """
        failure: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch_client, group.cancel_scope)
            try:
                await self._forward()
            except Exception as error:  # kept: the group would wrap it
                failure = error
            group.cancel_scope.cancel()
        if isinstance(failure, PayloadTooLarge | RequestTimeout) and not self._has_started:
            raise BodyRejected(failure)
        if failure is not None:
            raise failure
        return self._has_started

    async def _watch_client(self, scope: anyio.CancelScope) -> None:
        await self._body_taken.wait()  # until then, reading the body meets the disconnect
        await self._client.disconnect()
        scope.cancel()

    async def _forward(self) -> None:
        has_body = self._call.progress.has_body
        if not has_body:
            self._body_taken.set()
        request = to_httpx(self._call, self._engine, _Body(self._body()) if has_body else NO_BODY)
        with engine_errors(self._engine):
            response = await self._http.send(request, stream=True)
        try:
            # The engine may respond before it has read the body; httpx then sends no more of it.
            self._body_taken.set()
            await self._send_response(response)
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def _send_response(self, response: httpx.Response) -> None:
        fields = response_fields(response.status_code, response.headers.raw)
        self._has_started = True
        await self._client.start(response.status_code, fields)
        with engine_errors(self._engine):
            async for chunk in response.aiter_raw():
                await self._client.write(chunk, more=True)
        await self._client.write(b"", more=False)

    async def _body(self) -> AsyncIterator[bytes]:
        progress = self._call.progress
        async with aclosing(timed_chunks(self._client.body(), progress)) as chunks:
            async for chunk in chunks:
                progress.count(len(chunk))
                sent = time.monotonic()
                yield chunk
                progress.extend_deadline(time.monotonic() - sent)
        progress.require_complete()
        self._body_taken.set()


class _Body(httpx.AsyncByteStream):
    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks
