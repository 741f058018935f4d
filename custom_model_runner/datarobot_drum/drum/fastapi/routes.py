"""The route table as FastAPI endpoints."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from itertools import chain

from fastapi import FastAPI, Request, Response
from starlette.convertors import Convertor, register_url_convertor

from datarobot_drum.drum.fastapi.messages import (
    disconnected,
    read_body,
    request_headers,
    to_request,
    to_starlette,
    wait_for_disconnect,
)
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.execution.call import ModelCall
from datarobot_drum.drum.serving.messages import ModelRequest
from datarobot_drum.drum.serving.routes import Execution, Route, path_variants, subpath_patterns

PROXY = "datarobot_drum.drum.fastapi.proxy:make_proxy"
ANYTHING = "drum_anything"
STATUS_THREADS = 2

Endpoint = Callable[[Request], Awaitable[Response]]


def new_status_pool(core: ServingCore) -> ThreadPoolExecutor:
    """Return the threads of routes that no prediction may delay."""
    pool = ThreadPoolExecutor(STATUS_THREADS, "drum-status")
    core.worker_ctx.defer_cleanup(partial(pool.shutdown, wait=False), desc="shut down the status threads")
    return pool


def add_routes(app: FastAPI, core: ServingCore, status_pool: ThreadPoolExecutor) -> None:
    """Add every route of the table, in every path variant, below the URL prefix."""
    register_url_convertor(ANYTHING, _Anything())
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
        return _named(_model_endpoint(route, core), route)
    return _named(_status_endpoint(route, core, status_pool), route)


def _named(endpoint: Endpoint, route: Route) -> Endpoint:
    """Name ``endpoint`` after its handler: rate limiters and tracers distinguish endpoints by name."""
    endpoint.__name__ = endpoint.__qualname__ = route.handler
    return endpoint


def _status_endpoint(route: Route, core: ServingCore, status_pool: ThreadPoolExecutor) -> Endpoint:
    """Return the endpoint of a route without admission: inline if it only reads memory, else on a status thread."""
    handle = core.find_handler(route)
    runs_inline = route.execution in (Execution.INLINE, Execution.ENGINE) or (
        route.execution is Execution.PROBE and not core.handlers.has_own_probes
    )

    async def endpoint(request: Request) -> Response:
        headers = request_headers(request)
        model_request = ModelRequest(method=request.method, headers=headers, path_values=request.path_params)
        if runs_inline:
            return to_starlette(handle(model_request))
        work = partial(copy_context().run, handle, model_request)  # log lines carry the request id
        return to_starlette(await asyncio.get_running_loop().run_in_executor(status_pool, work))

    return endpoint


def _model_endpoint(route: Route, core: ServingCore) -> Endpoint:
    handle, form_fields = core.find_handler(route), core.handlers.form_fields(route)

    async def endpoint(request: Request) -> Response:
        start = asyncio.get_running_loop().time()
        await core.wait_for_model()
        headers = request_headers(request)
        body = await read_body(request, headers, core.limits, form_fields)
        call = ModelCall(handle, to_request(request, headers, body), body, core.request_timeout)
        response = await core.run(route, call, start, partial(wait_for_disconnect, request.receive))
        return disconnected() if response is None else to_starlette(response)

    return endpoint
