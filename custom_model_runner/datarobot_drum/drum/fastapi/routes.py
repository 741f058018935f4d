"""The route table as ASGI endpoints."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send

from datarobot_drum.drum.fastapi.messages import (
    BodyRejected,
    disconnect,
    read_body,
    request_headers,
    respond_and_drain,
    send_response,
    to_request,
)
from datarobot_drum.drum.fastapi.waiting import wait_for_model
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.execution.call import ModelCall
from datarobot_drum.drum.serving.execution.executor import Submission
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.routes import Execution, Route, path_variants

PROXY = "datarobot_drum.drum.fastapi.proxy:ProxyEndpoint"


@dataclass(frozen=True)
class MountedPath:
    """What answers at one exact path."""

    endpoint: ASGIApp
    methods: frozenset[str]


Endpoints = Sequence[tuple[Route, ASGIApp]]


def endpoints_for(core: ServingCore) -> Endpoints:
    """An endpoint for every route of the table."""
    status_pool = ThreadPoolExecutor(2, "drum-status")
    core.worker_ctx.defer_cleanup(partial(status_pool.shutdown, wait=False), desc="shut down the status threads")
    return [(route, _endpoint(route, core, status_pool)) for route in core.routes]


def exact_paths(core: ServingCore, endpoints: Endpoints) -> dict[str, MountedPath]:
    """Those that have one, in every spelling, below the URL prefix. HEAD is answered where GET is, as by Starlette."""
    return {
        path: MountedPath(endpoint, frozenset(route.methods) | ({"HEAD"} if "GET" in route.methods else set()))
        for route, endpoint in endpoints
        for path in path_variants(route, core.url_prefix)
    }


def _endpoint(route: Route, core: ServingCore, status_pool: ThreadPoolExecutor) -> ASGIApp:
    engine = core.handlers.engine
    if route.execution is Execution.ENGINE and engine is not None:
        endpoint: ASGIApp = import_from_string(PROXY)(route, core, engine)
        return endpoint
    return Endpoint(route, core, status_pool)


class Endpoint:
    """One route: reads the request, runs its handler where the table says, sends the answer."""

    def __init__(self, route: Route, core: ServingCore, status_pool: ThreadPoolExecutor) -> None:
        self.route = route
        self.handle: Callable[[ModelRequest], ModelResponse] = core.find_handler(route)
        self.form_fields = core.handlers.form_fields(route)
        self._core = core
        self._aside = status_pool
        self._inline = route.execution in (Execution.INLINE, Execution.ENGINE) or (
            route.execution is Execution.PROBE and not core.handlers.has_own_probes
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = request_headers(scope)
        try:
            if self.route.execution is Execution.EXECUTOR:
                response = await self._respond_from_model(scope, headers, receive)
            else:
                response = await self._respond(ModelRequest(method=scope["method"], headers=headers))
        except ClientLeft:
            return
        except BodyRejected as unread:
            await respond_and_drain(self._error_response(unread.error), receive, send)
            return
        except Exception as error:  # a request's edge: whatever happened, the client gets an answer
            response = self._error_response(error)
        await send_response(response, receive, send)

    def _error_response(self, error: Exception) -> ModelResponse:
        return error_response(error, for_openai=self.route.for_openai)

    async def _respond(self, request: ModelRequest) -> ModelResponse:
        if self._inline:
            return self.handle(request)
        return await asyncio.get_running_loop().run_in_executor(self._aside, self.handle, request)

    async def _respond_from_model(self, scope: Scope, headers: Headers, receive: Receive) -> ModelResponse:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        await wait_for_model(self._core)
        body = await read_body(receive, headers, self._core.limits, self.form_fields)
        timeout = self._core.request_timeout
        call = ModelCall(self.handle, to_request(scope, headers, body), body, timeout)
        submission = self._core.submit(self.route, call)
        timer = loop.call_at(begin + timeout, submission.time_out, timeout) if timeout else None
        try:
            return await (_unless_client_leaves(submission, receive) if submission.is_queued else submission)
        finally:
            if timer:
                timer.cancel()
            submission.cancel()
            if not submission.has_started:
                call.close_body()
            del submission  # it holds the error of the call, whose traceback holds this frame


class ClientLeft(Exception):
    """The client closed its connection while its call waited; there is nobody to answer."""


async def _unless_client_leaves(submission: Submission[ModelResponse], receive: Receive) -> ModelResponse:
    """The outcome of the call; ``ClientLeft`` when the client goes first."""
    listener = asyncio.ensure_future(disconnect(receive))
    listener.add_done_callback(lambda _: submission.cancel())
    try:
        return await submission
    except asyncio.CancelledError:
        if listener.done():
            raise ClientLeft from None
        raise
    finally:
        listener.cancel()
