"""Direct access to the engine: translates between ASGI and the exchange, on connections that all requests share."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from urllib.parse import quote

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from datarobot_drum.drum.engine_predictors.client import open_async_client
from datarobot_drum.drum.exceptions import PayloadTooLarge
from datarobot_drum.drum.fastapi.messages import (
    consumed_body_errors,
    disconnected,
    request_headers,
    wait_for_disconnect,
)
from datarobot_drum.drum.serving.body.receiving import BodyRejected
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.proxy.exchange import EngineExchange, ProxyClient
from datarobot_drum.drum.serving.proxy.requests import Fields, RawTarget, engine_call
from datarobot_drum.drum.serving.routes import Route
from datarobot_drum.drum.settings.engine import EngineSettings


def make_proxy(route: Route, core: ServingCore, engine: EngineSettings) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint that passes requests on to the engine, without a thread or a slot of the executor."""
    bases = [core.url_prefix + path for path in route.paths]
    http = open_async_client(engine)  # opens no connection yet
    core.worker_ctx.defer_async_cleanup(http.aclose, desc="close the connections to the engine")

    async def proxy(request: Request) -> Response:
        await core.wait_for_model()
        target = _raw_target(request.scope)
        try:
            call = engine_call(engine, bases, request.method, target, request_headers(request), core.limits)
        except PayloadTooLarge as error:
            raise BodyRejected(error) from error
        return _EngineResponse(partial(EngineExchange, engine, http, call), request)

    return proxy


class _EngineResponse(Response):
    """The engine's response to one request."""

    def __init__(self, exchange: Callable[[ProxyClient], EngineExchange], request: Request) -> None:
        super().__init__()
        self._exchange = exchange
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not await self._exchange(_AsgiClient(self._request, receive, send)).run():
            await disconnected()(scope, receive, send)


class _AsgiClient:
    """The client of a request, as the exchange needs it."""

    def __init__(self, request: Request, receive: Receive, send: Send) -> None:
        self._request = request
        self._receive = receive
        self._send = send

    async def body(self) -> AsyncGenerator[bytes, None]:
        with consumed_body_errors():
            async with aclosing(self._request.stream()) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def disconnect(self) -> None:
        await wait_for_disconnect(self._receive)

    async def start(self, status: int, fields: Fields) -> None:
        headers = [(name.lower(), value) for name, value in fields]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, chunk: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})


def _raw_target(scope: Scope) -> RawTarget:
    """Return the target as sent, or the decoded path encoded again if the server keeps nothing else."""
    path = (scope.get("raw_path") or quote(scope["path"]).encode()).partition(b"?")[0]
    return RawTarget(path, scope["query_string"], scope.get("root_path", ""))
