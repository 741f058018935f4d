"""The route table as FastAPI endpoints."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain

from fastapi import FastAPI, Request, Response
from starlette.convertors import Convertor, register_url_convertor

from datarobot_drum.drum.exceptions import RequestError
from datarobot_drum.drum.fastapi.messages import (
    BodyRejected,
    ClientDisconnect,
    disconnected,
    read_body,
    request_headers,
    to_draining,
    to_request,
    to_starlette,
    wait_for_disconnect,
)
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.execution.call import ModelCall
from datarobot_drum.drum.serving.execution.executor import Submission
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.routes import Execution, Route, path_variants, subpath_patterns

PROXY = "datarobot_drum.drum.fastapi.proxy:make_proxy"
ANYTHING = "drum_anything"
STATUS_THREADS = 2

DEFAULT_HANDLERS = FastAPI().exception_handlers

Respond = Callable[[Request], Awaitable[ModelResponse]]
Endpoint = Callable[[Request], Awaitable[Response]]


def add_routes(app: FastAPI, core: ServingCore) -> None:
    """Add every route of the table, in every path variant, below the URL prefix."""
    register_url_convertor(ANYTHING, _Anything())
    status_pool = ThreadPoolExecutor(STATUS_THREADS, "drum-status")
    core.worker_ctx.defer_cleanup(partial(status_pool.shutdown, wait=False), desc="shut down the status threads")
    for route in core.routes:
        endpoint = _endpoint(route, core, status_pool)
        for path in _paths(route, core):
            # Not by include_router: FastAPI would match twice, and rate limiters that list app.routes not see ours.
            app.router.add_api_route(
                path,
                endpoint,
                methods=list(route.methods),
                name=route.handler,
                response_model=None,
                include_in_schema=False,
            )


def own_paths(core: ServingCore) -> frozenset[str]:
    """Return the paths of all routes of the table, in every path variant."""
    return frozenset(path for route in core.routes for path in path_variants(route, core.url_prefix))


def _paths(route: Route, core: ServingCore) -> Iterator[str]:
    patterns = subpath_patterns(route, core.url_prefix, f"{{subpath:{ANYTHING}}}")
    return chain(path_variants(route, core.url_prefix), patterns)


class _Anything(Convertor[str]):
    """Matches what Starlette's own ``path`` matches, and line breaks, which the proxy has to see to reject them."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


def _endpoint(route: Route, core: ServingCore, status_pool: ThreadPoolExecutor) -> Endpoint:
    engine = core.handlers.engine
    if route.execution is Execution.ENGINE and engine is not None:
        proxy: Endpoint = import_from_string(PROXY)(route, core, engine)
        return _named(proxy, route)
    if route.execution is Execution.EXECUTOR:
        return _as_endpoint(route, partial(_respond_from_model, route, core))
    return _as_endpoint(route, _status_responder(route, core, status_pool))


def _as_endpoint(route: Route, respond: Respond) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            return to_starlette(await respond(request))
        except ClientDisconnect:
            return disconnected()
        except BodyRejected as rejected:
            return to_draining(error_response(rejected.error, for_openai=route.for_openai))
        except Exception as error:  # a request's edge: whatever happened, the client gets a response
            if has_own_handler(request.app, error):
                raise
            return to_starlette(error_response(error, for_openai=route.for_openai))

    return _named(endpoint, route)


def _named(endpoint: Endpoint, route: Route) -> Endpoint:
    """Name ``endpoint`` after its handler: rate limiters and tracers tell endpoints apart by their names."""
    endpoint.__name__ = endpoint.__qualname__ = route.handler
    return endpoint


def has_own_handler(app: FastAPI, error: Exception) -> bool:
    """Return whether an extension has registered an exception handler for ``error``.

    A handler for ``Exception`` or 500 is for unexpected errors only, as FastAPI never calls it for an HTTPException.
    A handler for HTTPException is for those of routes and dependencies, not for one that model code raises.
    """
    handlers = app.exception_handlers
    kinds: list[type | int] = [kind for kind in type(error).__mro__ if issubclass(kind, Exception)]
    kinds = kinds[: kinds.index(RequestError) + 1] if isinstance(error, RequestError) else [*kinds, 500]
    return any(kind in handlers and kind not in DEFAULT_HANDLERS for kind in kinds)


def _status_responder(route: Route, core: ServingCore, status_pool: ThreadPoolExecutor) -> Respond:
    """Return what responds without the model: on the event loop if it only reads memory, else on a status thread."""
    handle = core.find_handler(route)
    runs_inline = route.execution in (Execution.INLINE, Execution.ENGINE) or (
        route.execution is Execution.PROBE and not core.handlers.has_own_probes
    )

    async def respond(request: Request) -> ModelResponse:
        model_request = ModelRequest(method=request.method, headers=request_headers(request))
        if runs_inline:
            return handle(model_request)
        return await asyncio.get_running_loop().run_in_executor(status_pool, handle, model_request)

    return respond


async def _respond_from_model(route: Route, core: ServingCore, request: Request) -> ModelResponse:
    loop = asyncio.get_running_loop()
    start = loop.time()
    await wait_for_model(core)
    headers = request_headers(request)
    body = await read_body(request, headers, core.limits, core.handlers.form_fields(route))
    call = ModelCall(core.find_handler(route), to_request(request, headers, body), body, core.request_timeout)
    submission = core.submit(route, call)
    timeout = core.request_timeout
    timer = loop.call_at(start + timeout, submission.time_out, timeout) if timeout else None
    try:
        return await (_unless_disconnected(submission, request) if submission.is_queued else submission)
    finally:
        if timer:
            timer.cancel()
        submission.cancel()
        if not submission.has_started:
            call.close_body()
        del submission  # it holds the error of the call, whose traceback holds this frame


async def wait_for_model(core: ServingCore) -> None:
    """Return once the model is loaded.

    Raises:
        ModelNotReady: it still loads after the load timeout.
        ModelFailedToLoad: on an error server.
    """
    finished = core.state.finished
    if not finished.done():
        await asyncio.wait([asyncio.wrap_future(finished)], timeout=core.load_timeout)
    core.state.require_ready()


async def _unless_disconnected(submission: Submission[ModelResponse], request: Request) -> ModelResponse:
    """Return the result of a queued call; cancel it when the client disconnects first.

    Raises:
        ClientDisconnect: the client disconnected while the call was queued.
    """
    listener = asyncio.ensure_future(wait_for_disconnect(request.receive))
    listener.add_done_callback(lambda _: submission.cancel())
    try:
        return await submission
    except asyncio.CancelledError:
        if listener.done():
            raise ClientDisconnect from None
        raise
    finally:
        listener.cancel()
