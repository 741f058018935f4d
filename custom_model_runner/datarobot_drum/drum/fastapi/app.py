"""The FastAPI app around the core."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from inspect import signature
from itertools import chain
from typing import Any

from fastapi import FastAPI
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as MountedRoute

from datarobot_drum.drum.fastapi.extensions import describe_routes
from datarobot_drum.drum.fastapi.middleware import RequestContextMiddleware, StdoutFlusherMiddleware
from datarobot_drum.drum.fastapi.routes import Endpoints, endpoints_for
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.routes import path_variants, subpath_patterns
from datarobot_drum.drum.serving.routing_errors import method_not_allowed, route_not_found

ANYTHING = "drum_anything"


def new_app() -> FastAPI:
    """An app without spans of FastAPI's own, which versions from 0.16x on make: a request has one, and it is ours."""
    can_trace = "telemetry" in signature(FastAPI).parameters
    options: dict[str, Any] = {"telemetry": {"tracing": False, "operation_spans": False}} if can_trace else {}
    return FastAPI(title="datarobot_drum", openapi_url=None, **options)


def build_app(core: ServingCore, app: FastAPI | None = None, endpoints: Endpoints | None = None) -> FastAPI:
    """Mount the core on ``app``, or on a new one.

    Args:
        endpoints: of an app that is extended by nobody, and whose worker somebody else cleans up.
    """
    app = app or new_app()
    app.router.redirect_slashes = False
    add_routes(app, core, endpoints or endpoints_for(core))
    app.add_exception_handler(404, _answer_not_found)
    app.add_exception_handler(405, _answer_method_not_allowed)
    if endpoints is None:
        app.router.lifespan_context = _with_worker(core, app.router.lifespan_context)
        core.load_extension(app)
        if core.documentation:
            core.documentation.add_source(partial(describe_routes, app))
    app.add_middleware(StdoutFlusherMiddleware, flusher=core.flusher)
    app.add_middleware(RequestContextMiddleware, request_log=core.request_log, worker_ctx=core.worker_ctx)
    return app


def add_routes(app: FastAPI, core: ServingCore, endpoints: Endpoints) -> None:
    """Mount every route of the table, in every spelling, below the URL prefix."""
    register_url_convertor(ANYTHING, _Anything())
    for route, endpoint in endpoints:
        patterns = subpath_patterns(route, core.url_prefix, f"{{subpath:{ANYTHING}}}")
        for path in chain(path_variants(route, core.url_prefix), patterns):
            # A class instance is taken as a plain ASGI app: the body stays ours to read.
            app.router.routes.append(MountedRoute(path, endpoint, methods=route.methods, name=route.handler))


class _Anything(Convertor[str]):
    """What Starlette's own ``path`` matches, and line breaks, which are to be refused and not overlooked."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


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
