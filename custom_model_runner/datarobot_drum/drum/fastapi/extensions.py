"""``custom_fastapi.py``: the model folder's own routes, middleware, dependencies and authentication on FastAPI."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute, Match

from datarobot_drum.drum.serving.extensions import extend_app

UNLIKELY_SEGMENT = "drum-unlikely-segment"


def load_fastapi_extensions(app: FastAPI, code_dir: Path) -> bool:
    """Call ``init_app(app)`` of ``custom_fastapi.py``; return False if the model folder has none.

    Raises:
        ExtensionError: see ``extend_app``.
    """
    return extend_app(app, code_dir, "fastapi")


def take_catch_alls(app: FastAPI, own_paths: Collection[str]) -> list[BaseRoute]:
    """Remove and return the extension's routes that match paths of the server by a pattern, such as a mount at ``/``.

    Starlette takes the first route that matches. Added again behind the server's routes, they hide none of them; routes
    of exactly the same path stay, and win.
    """
    catch_alls = [route for route in app.router.routes if _is_catch_all(route, own_paths)]
    app.router.routes[:] = [route for route in app.router.routes if route not in catch_alls]
    return catch_alls


def _is_catch_all(route: BaseRoute, own_paths: Collection[str]) -> bool:
    path = getattr(route, "path", None)
    if path is None:  # newer versions of FastAPI keep an included router as one route without a path
        return any(_matches(route, re.sub("[^/]+", UNLIKELY_SEGMENT, own)) for own in own_paths if own.strip("/"))
    return path not in own_paths and any(_matches(route, own) for own in own_paths)


def _matches(route: BaseRoute, path: str) -> bool:
    match, _ = route.matches({"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []})
    return match is not Match.NONE


def describe_routes(app: FastAPI) -> dict[str, Any]:
    """Describe the routes whose types FastAPI knows: those of an extension, never the server's own."""
    return get_openapi(title=app.title, version=app.version, routes=app.routes)
