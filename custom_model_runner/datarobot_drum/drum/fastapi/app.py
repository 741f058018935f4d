"""The FastAPI app around the core."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from functools import partial
from inspect import signature
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette._utils import is_async_callable
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware

from datarobot_drum.drum.exceptions import RequestError
from datarobot_drum.drum.fastapi.extensions import describe_routes
from datarobot_drum.drum.fastapi.messages import to_starlette
from datarobot_drum.drum.fastapi.middleware import RequestContextMiddleware, StdoutFlusherMiddleware
from datarobot_drum.drum.fastapi.routes import DEFAULT_HANDLERS, make_router
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.routing_errors import method_not_allowed, route_not_found
from datarobot_drum.drum.settings.build import url_prefix

logger = logging.getLogger(__name__)

TELEMETRY = ("tracing", "operation_spans", "metrics", "logs")


def new_app() -> FastAPI:
    """Return an app without FastAPI's own telemetry, which versions from 0.16x on have: each request has our span."""
    has_telemetry = "telemetry" in signature(FastAPI).parameters
    options: dict[str, Any] = {"telemetry": dict.fromkeys(TELEMETRY, False)} if has_telemetry else {}
    return FastAPI(title="datarobot_drum", openapi_url=None, **options)


def build_app(core: ServingCore, app: FastAPI | None = None) -> FastAPI:
    """Mount the core on ``app``, or on a new one.

    The extension comes first. So dependencies that it adds to the app guard our routes, and its route wins where both
    have the same path. Its middleware runs inside ours, so every response has the standard headers.
    """
    app = app or new_app()
    app.router.redirect_slashes = False
    is_extended = core.load_extension(app)
    _add_error_handlers(app)
    app.include_router(make_router(core))
    startup_errors = core.extension_errors if is_extended else nullcontext
    app.router.lifespan_context = _with_worker(core, app.router.lifespan_context, startup_errors)
    app.add_middleware(ServerErrorMiddleware, handler=_respond_to_error)
    app.add_middleware(StdoutFlusherMiddleware, flusher=core.flusher)
    app.add_middleware(RequestContextMiddleware, request_log=core.request_log, worker_ctx=core.worker_ctx)
    if is_extended:
        with core.extension_errors():
            # Now: a constructor that raises must fail the start, not the first request.
            app.middleware_stack = app.build_middleware_stack()
        if core.documentation:
            core.documentation.add_source(partial(describe_routes, app))
    return app


def include_router(router: APIRouter, app: FastAPI | None = None) -> FastAPI:
    """Include ``router`` below ``URL_PREFIX`` in ``app``, or in a new one."""
    app = app or new_app()
    app.include_router(router, prefix=url_prefix())
    return app


def _with_worker(core: ServingCore, inner: Any, startup_errors: Callable[[], AbstractContextManager[None]]) -> Any:
    """Return the app's own lifespan, with the worker's cleanup after it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        try:
            async with AsyncExitStack() as stack:
                state = None
                with startup_errors():
                    state = await stack.enter_async_context(inner(app))
                yield state
        finally:
            await core.worker_ctx.cleanup_async()

    return lifespan


def _add_error_handlers(app: FastAPI) -> None:
    """Respond with JSON to unknown paths and methods, unless an extension responds to them itself."""
    handlers = app.exception_handlers
    if handlers.get(HTTPException) is DEFAULT_HANDLERS.get(HTTPException):
        handlers.setdefault(404, _respond_not_found)
        handlers.setdefault(405, _respond_method_not_allowed)


async def _respond_not_found(request: Request, error: Exception) -> Response:
    detail = error.detail if isinstance(error, HTTPException) and "endpoint" in request.scope else None
    # Not `request.url.path`: a URL has no place for a decoded question mark or line break.
    return to_starlette(route_not_found(request.scope["path"], detail))


async def _respond_method_not_allowed(request: Request, error: Exception) -> Response:
    headers = error.headers if isinstance(error, HTTPException) else None
    return to_starlette(method_not_allowed(request.method, (headers or {}).get("Allow", "")))


async def _respond_to_error(request: Request, error: Exception) -> Response:
    """Respond to what no other handler took: by the app's handler for ``Exception`` or 500, else as JSON."""
    handlers = request.app.exception_handlers
    handler = handlers.get(500) or handlers.get(Exception)
    if handler is None or isinstance(error, RequestError):
        return to_starlette(error_response(error))
    logger.error("Unexpected error while answering a request.", exc_info=error)
    response: Response = await (
        handler(request, error) if is_async_callable(handler) else run_in_threadpool(handler, request, error)
    )
    return response
