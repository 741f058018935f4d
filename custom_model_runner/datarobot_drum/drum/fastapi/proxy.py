"""Passes requests on to the inference engine, streamed both ways, on connections that all requests share."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from urllib.parse import quote

import anyio
import httpx
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from datarobot_drum.drum.engine_predictors.client import engine_errors, open_async_client
from datarobot_drum.drum.exceptions import PayloadTooLarge, RequestTimeout
from datarobot_drum.drum.fastapi.messages import (
    consumed_body_errors,
    disconnected,
    request_headers,
    wait_for_disconnect,
)
from datarobot_drum.drum.serving.body.receiving import BodyRejected, timed_chunks
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.proxy.httpx_requests import NO_BODY, to_httpx
from datarobot_drum.drum.serving.proxy.requests import EngineCall, RawTarget, engine_call, response_fields
from datarobot_drum.drum.serving.routes import Route
from datarobot_drum.drum.settings.engine import EngineSettings


def make_proxy(route: Route, core: ServingCore, engine: EngineSettings) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint that passes requests on to the engine, without a thread or a slot of the executor."""
    bases = [core.url_prefix + path for path in route.paths]
    client = open_async_client(engine)  # opens no connection yet
    core.worker_ctx.defer_async_cleanup(client.aclose, desc="close the connections to the engine")

    async def proxy(request: Request) -> Response:
        await core.wait_for_model()
        target = _raw_target(request.scope)
        try:
            call = engine_call(engine, bases, request.method, target, request_headers(request), core.limits)
        except PayloadTooLarge as error:
            raise BodyRejected(error) from error
        return _EngineResponse(client, engine, call, request)

    return proxy


class _EngineResponse(Response):
    """The engine's response to one call. The client's disconnect ends the call."""

    def __init__(self, client: httpx.AsyncClient, engine: EngineSettings, call: EngineCall, request: Request) -> None:
        super().__init__()
        self._client = client
        self._engine = engine
        self._call = call
        self._request = request
        self._has_started = False
        self._body_taken = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on.

        Raises:
            RequestError: the engine failed; if its response had begun, the server aborts the connection.
            BodyRejected, ClientDisconnect: the request's body failed before the response had begun.
        """
        self._scope, self._receive, self._send = scope, receive, send
        await self._run()

    async def _run(self) -> None:
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
        if not self._has_started:
            await disconnected()(self._scope, self._receive, self._send)

    async def _watch_client(self, scope: anyio.CancelScope) -> None:
        await self._body_taken.wait()  # until then, reading the body meets the disconnect
        await wait_for_disconnect(self._receive)
        scope.cancel()

    async def _forward(self) -> None:
        has_body = self._call.progress.has_body
        if not has_body:
            self._body_taken.set()
        request = to_httpx(self._call, self._engine, _Body(self._body()) if has_body else NO_BODY)
        with engine_errors(self._engine):
            response = await self._client.send(request, stream=True)
        try:
            # The engine may respond before it has read the body; httpx then sends no more of it.
            self._body_taken.set()
            await self._send_response(response)
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def _send_response(self, response: httpx.Response) -> None:
        self._has_started = True
        headers = [(name.lower(), value) for name, value in response_fields(response.headers.raw)]
        await self._send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        with engine_errors(self._engine):
            async for chunk in response.aiter_raw():
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def _body(self) -> AsyncIterator[bytes]:
        progress = self._call.progress
        with consumed_body_errors():
            async with aclosing(timed_chunks(self._request.stream(), progress)) as chunks:
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


def _raw_target(scope: Scope) -> RawTarget:
    """Return the target as sent, or the decoded path encoded again if the server keeps nothing else."""
    path = (scope.get("raw_path") or quote(scope["path"]).encode()).partition(b"?")[0]
    return RawTarget(path, scope["query_string"], scope.get("root_path", ""))
