"""The FastAPI app around the core."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from functools import partial
from inspect import signature
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.middleware.errors import ServerErrorMiddleware

from datarobot_drum.drum.fastapi.access import AccessMiddleware
from datarobot_drum.drum.fastapi.errors import add_error_handlers, respond_to_unexpected_error
from datarobot_drum.drum.fastapi.extensions import describe_routes, take_catch_alls
from datarobot_drum.drum.fastapi.middleware import RequestContextMiddleware, StdoutFlusherMiddleware
from datarobot_drum.drum.fastapi.routes import add_routes, new_status_pool, own_paths
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.settings.environment import url_prefix

TELEMETRY = ("tracing", "operation_spans", "metrics", "logs")


def new_app() -> FastAPI:
    """Return an app without FastAPI's own telemetry, which versions from 0.16x on have: each request has our span."""
    has_telemetry = "telemetry" in signature(FastAPI).parameters
    options: dict[str, Any] = {"telemetry": dict.fromkeys(TELEMETRY, False)} if has_telemetry else {}
    return FastAPI(title="datarobot_drum", openapi_url=None, **options)


def build_app(core: ServingCore, app: FastAPI | None = None) -> FastAPI:
    """Mount the core on ``app``, or on a new one.

    The extension runs before our routes are added: dependencies that it adds to the app guard them, and its routes win
    on equal paths. Its middleware runs inside ours, so every response has the standard headers.
    """
    app = app or new_app()
    status_pool = new_status_pool(core)
    _configure(app, core)
    is_extended = core.load_extension(app)
    catch_alls = take_catch_alls(app, own_paths(core))
    add_routes(app, core, status_pool)
    app.router.routes.extend(catch_alls)
    replace = partial(_replace_with_error_app, app, core, status_pool)
    app.router.lifespan_context = _with_worker(core, app.router.lifespan_context, replace if is_extended else None)
    _add_middleware(app, core)
    if is_extended:
        with core.extension_errors("The middleware of the extension failed"):
            # Built here, so that a constructor that raises fails the start, not the first request.
            app.middleware_stack = app.build_middleware_stack()
        if core.documentation:
            core.documentation.add_source(partial(describe_routes, app))
    if core.state.extension_failed:
        replace()
    return app


def include_router(router: APIRouter, app: FastAPI | None = None) -> FastAPI:
    """Include ``router`` below ``URL_PREFIX`` in ``app``, or in a new one."""
    app = app or new_app()
    app.include_router(router, prefix=url_prefix())
    return app


def _configure(app: FastAPI, core: ServingCore) -> None:
    app.router.redirect_slashes = False
    add_error_handlers(app, core.url_prefix)


def _add_middleware(app: FastAPI, core: ServingCore) -> None:
    """Add our middleware; what is added last runs first."""
    app.add_middleware(ServerErrorMiddleware, handler=respond_to_unexpected_error)
    app.add_middleware(StdoutFlusherMiddleware, flusher=core.flusher)
    if core.access is not None:
        app.add_middleware(AccessMiddleware, gate=core.access)
    app.add_middleware(RequestContextMiddleware, request_log=core.request_log, worker_ctx=core.worker_ctx)


def _replace_with_error_app(app: FastAPI, core: ServingCore, status_pool: ThreadPoolExecutor) -> None:
    """Serve an app without the extension from now on: what it added before it failed may be unguarded."""
    error_app = new_app()
    _configure(error_app, core)
    add_routes(error_app, core, status_pool)
    _add_middleware(error_app, core)
    error_app.router.lifespan_context = _with_worker(core, error_app.router.lifespan_context, None)
    app.middleware_stack = error_app


def _with_worker(core: ServingCore, inner: Any, on_extension_failure: Callable[[], None] | None) -> Any:
    """Return the app's own lifespan, with the worker's cleanup after it.

    Args:
        on_extension_failure: called if the extension's part of the lifespan fails; None without an extension.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(core.worker_ctx.cleanup_async)
            state = None
            is_extended = on_extension_failure is not None
            with core.extension_errors("The lifespan of the extension failed") if is_extended else nullcontext():
                state = await stack.enter_async_context(inner(app))
            if on_extension_failure is not None and core.state.extension_failed:
                on_extension_failure()
            yield state

    return lifespan
