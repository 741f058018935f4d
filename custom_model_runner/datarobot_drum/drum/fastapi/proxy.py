"""Direct access to the engine on the event loop: both ways as it comes, on connections that all requests share."""

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
    ClientDisconnect,
    body_chunks,
    disconnected,
    request_headers,
    to_draining,
    to_starlette,
    wait_for_disconnect,
)
from datarobot_drum.drum.fastapi.routes import wait_for_model
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.errors import error_response
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
        try:
            await wait_for_model(core)
            target = _raw_target(request.scope)
            call = engine_call(engine, bases, request.method, target, request_headers(request), core.limits)
        except PayloadTooLarge as error:
            return to_draining(error_response(error))
        except Exception as error:  # a request's edge: whatever happened, the client gets a response
            return to_starlette(error_response(error))
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
        self._begun = False
        self._body_taken = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on.

        Raises:
            RequestError: the engine broke off after its response had begun, so the connection has to be aborted.
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
        if failure is not None:
            await self._fail(failure)
        elif not self._begun:
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
            # An engine may answer before it has read everything, and then takes no more.
            self._body_taken.set()
            await self._answer(response)
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def _answer(self, response: httpx.Response) -> None:
        self._begun = True
        headers = [(name.lower(), value) for name, value in response_fields(response.headers.raw)]
        await self._send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        with engine_errors(self._engine):
            async for piece in response.aiter_raw():
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def _body(self) -> AsyncIterator[bytes]:
        progress = self._call.progress
        async with aclosing(body_chunks(self._request, progress)) as chunks:
            async for chunk in chunks:
                progress.count(len(chunk))
                given = time.monotonic()
                yield chunk
                progress.extend_deadline(time.monotonic() - given)
        progress.require_complete()
        self._body_taken.set()

    async def _fail(self, failure: Exception) -> None:
        if self._begun:
            raise failure
        await _to_response(failure)(self._scope, self._receive, self._send)


def _to_response(failure: Exception) -> Response:
    if isinstance(failure, ClientDisconnect):
        return disconnected()
    response = error_response(failure)
    return to_draining(response) if isinstance(failure, PayloadTooLarge | RequestTimeout) else to_starlette(response)


class _Body(httpx.AsyncByteStream):
    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces


def _raw_target(scope: Scope) -> RawTarget:
    """The target as sent, or the decoded path encoded again where the server keeps no other."""
    path = (scope.get("raw_path") or quote(scope["path"]).encode()).partition(b"?")[0]
    return RawTarget(path, scope["query_string"], scope.get("root_path", ""))
