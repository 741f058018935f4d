"""The FastAPI app around the core."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from inspect import signature
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from datarobot_drum.drum.fastapi.extensions import describe_routes
from datarobot_drum.drum.fastapi.front_door import FrontDoor
from datarobot_drum.drum.fastapi.middleware import RequestContextMiddleware, StdoutFlusherMiddleware
from datarobot_drum.drum.fastapi.routes import add_routes
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.routing_errors import method_not_allowed, route_not_found


def new_app() -> FastAPI:
    """An app without spans of FastAPI's own, which versions from 0.16x on make: a request has one, and it is ours."""
    can_trace = "telemetry" in signature(FastAPI).parameters
    options: dict[str, Any] = {"telemetry": {"tracing": False, "operation_spans": False}} if can_trace else {}
    return FastAPI(title="datarobot_drum", openapi_url=None, **options)


def build_app(core: ServingCore, app: FastAPI | None = None) -> FastAPI:
    """Mount the core on ``app``, or on a new one.

    ``app.state.front_door`` is what a server of ours serves, unless somebody else has put something into the app.
    """
    is_ours = app is None
    app = app or new_app()
    app.router.redirect_slashes = False
    mounted = add_routes(app, core)
    app.add_exception_handler(404, _answer_not_found)
    app.add_exception_handler(405, _answer_method_not_allowed)
    app.router.lifespan_context = _with_worker(core, app.router.lifespan_context)
    is_extended = core.extend(app)
    if core.documentation:
        core.documentation.add_source(partial(describe_routes, app))
    app.add_middleware(StdoutFlusherMiddleware, flusher=core.flusher)
    app.add_middleware(RequestContextMiddleware, ledger=core.ledger, worker_ctx=core.worker_ctx)
    if is_ours and not is_extended:
        app.state.front_door = FrontDoor(app, core, mounted)
    return app


def _with_worker(core: ServingCore, inner: Any) -> Any:
    """The app's own lifespan, and after it the end of the worker."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        try:
            async with inner(app) as state:
                yield state
        finally:
            await core.worker_ctx.cleanup_async()

    return lifespan


async def _answer_not_found(request: Request, error: Exception) -> Response:
    detail = error.detail if isinstance(error, HTTPException) and "endpoint" in request.scope else None
    # Not `request.url.path`: a URL has no place for a decoded question mark or line break.
    return _response(route_not_found(request.scope["path"], detail))


async def _answer_method_not_allowed(request: Request, error: Exception) -> Response:
    headers = error.headers if isinstance(error, HTTPException) else None
    return _response(method_not_allowed(request.method, (headers or {}).get("Allow", "")))


def _response(answer: Any) -> Response:
    return Response(answer.content, answer.status, dict(answer.headers), answer.media_type)
