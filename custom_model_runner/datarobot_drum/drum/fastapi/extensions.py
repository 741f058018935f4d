"""``custom_fastapi.py``: the model folder's own routes, middleware, dependencies and authentication on FastAPI."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from datarobot_drum.drum.exceptions import ExtensionError
from datarobot_drum.drum.serving.extensions import extend_app, extension_errors


def load_fastapi_extensions(app: FastAPI, code_dir: Path) -> bool:
    """Call ``init_app(app)`` of ``custom_fastapi.py``; return False if the model folder has none.

    Raises:
        ExtensionError: see ``extend_app``.
    """
    return extend_app(app, code_dir, "fastapi")


def build_middleware(app: FastAPI, code_dir: Path) -> None:
    """Call the constructors of all middleware at start, not at the first request.

    Raises:
        ExtensionError: one of them raised.
    """
    with extension_errors("The middleware of the extension failed", code_dir):
        app.middleware_stack = app.build_middleware_stack()


def report_lifespan_failure(app: FastAPI, code_dir: Path, on_failure: Callable[[ExtensionError], object]) -> None:
    """Call ``on_failure`` when the app's lifespan raises at its start, and go on without it."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        state = None
        async with AsyncExitStack() as stack:
            try:
                with extension_errors("The lifespan of the extension failed", code_dir):
                    state = await stack.enter_async_context(inner(app))
            except ExtensionError as error:
                on_failure(error)
            yield state

    app.router.lifespan_context = lifespan


def describe_routes(app: FastAPI) -> dict[str, Any]:
    """Describe the routes whose types FastAPI knows: those of an extension, never the server's own."""
    return get_openapi(title=app.title, version=app.version, routes=app.routes)
