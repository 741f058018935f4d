"""Direct access to the engine on the event loop: both ways as it comes, on connections that all requests share."""

import time
from collections.abc import AsyncIterator
from urllib.parse import quote

import anyio
import httpx
from starlette.types import Receive, Scope, Send

from datarobot_drum.drum.engine_predictors.client import engine_errors, open_async_client
from datarobot_drum.drum.exceptions import PayloadTooLarge, RequestTimeout
from datarobot_drum.drum.fastapi.messages import (
    disconnect,
    next_message,
    request_headers,
    respond_and_drain,
    send_response,
)
from datarobot_drum.drum.fastapi.waiting import wait_for_model
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.proxy.httpx_requests import NO_BODY, to_httpx
from datarobot_drum.drum.serving.proxy.requests import EngineCall, RawTarget, engine_call, response_fields
from datarobot_drum.drum.serving.routes import Route
from datarobot_drum.drum.settings.engine import EngineSettings


class ProxyEndpoint:
    """Passes requests on. Neither a thread nor a slot of the executor is taken; a client that leaves ends its call."""

    def __init__(self, route: Route, core: ServingCore, engine: EngineSettings) -> None:
        self._core = core
        self._engine = engine
        self._bases = [core.url_prefix + path for path in route.paths]
        self._client = open_async_client(engine)  # opens no connection yet
        core.worker_ctx.defer_async_cleanup(self._client.aclose, desc="close the connections to the engine")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await wait_for_model(self._core)
            call = self._to_call(scope)
        except PayloadTooLarge as error:
            await respond_and_drain(error_response(error), receive, send)
            return
        except Exception as error:  # a request's edge: whatever happened, the client gets an answer
            await send_response(error_response(error), receive, send)
            return
        await _Exchange(self._client, self._engine, call, receive, send).run()

    def _to_call(self, scope: Scope) -> EngineCall:
        return engine_call(
            self._engine,
            self._bases,
            scope["method"],
            _raw_target(scope),
            request_headers(scope),
            self._core.limits,
        )


class _Exchange:
    """One call and its answer."""

    def __init__(
        self, client: httpx.AsyncClient, engine: EngineSettings, call: EngineCall, receive: Receive, send: Send
    ) -> None:
        self._client = client
        self._engine = engine
        self._call = call
        self._receive = receive
        self._send = send
        self._begun = False
        self._body_taken = anyio.Event()

    async def run(self) -> None:
        """Pass the call on.

        Raises:
            RequestError: the engine broke off when its answer had begun, so the connection has to be aborted.
        """
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

    async def _watch_client(self, scope: anyio.CancelScope) -> None:
        await self._body_taken.wait()  # until then, the sender of the body meets the disconnect
        await disconnect(self._receive)
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
        more = True
        while more:
            message = await next_message(progress, self._receive)
            more = message.get("more_body", False)
            if chunk := message.get("body", b""):
                progress.count(len(chunk))
                given = time.monotonic()
                yield chunk
                progress.extend_deadline(time.monotonic() - given)
        progress.require_complete()
        self._body_taken.set()

    async def _fail(self, failure: Exception) -> None:
        if self._begun:
            raise failure
        response = error_response(failure)
        if isinstance(failure, PayloadTooLarge | RequestTimeout):
            await respond_and_drain(response, self._receive, self._send)
        else:
            await send_response(response, self._receive, self._send)


class _Body(httpx.AsyncByteStream):
    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces


def _raw_target(scope: Scope) -> RawTarget:
    """The target as sent, or the decoded path encoded again where the server keeps no other."""
    path = (scope.get("raw_path") or quote(scope["path"]).encode()).partition(b"?")[0]
    return RawTarget(path, scope["query_string"], scope.get("root_path", ""))
