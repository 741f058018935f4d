"""``custom_fastapi.py``: the model folder's own routes, middleware, dependencies and authentication on FastAPI."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from datarobot_drum.drum.serving.extensions import extend_app


def load_fastapi_extensions(app: FastAPI, code_dir: Path) -> bool:
    """Call ``init_app(app)`` of ``custom_fastapi.py``, if there is one; whether there is.

    Raises:
        ExtensionError: see ``extend_app``.
    """
    return extend_app(app, code_dir, "fastapi")


def describe_routes(app: FastAPI) -> dict[str, Any]:
    """An OpenAPI document of the routes whose types FastAPI knows: an extension's, never the server's own."""
    return get_openapi(title=app.title, version=app.version, routes=app.routes)
