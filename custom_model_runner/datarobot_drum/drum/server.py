"""Builds or takes an app and mounts routes on it; each function imports its web framework when it is called."""

from typing import TYPE_CHECKING

from datarobot_drum.drum.serving.core import ServingCore

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI
    from flask import Flask


def get_flask_app(core: ServingCore, app: "Flask | None" = None) -> "Flask":
    """Return a Flask app (or the one given) that serves ``core`` below its URL prefix."""
    from datarobot_drum.drum.flask.app import build_app

    return build_app(core, app)


def get_fastapi_app(routes: "ServingCore | APIRouter", app: "FastAPI | None" = None) -> "FastAPI":
    """Return a FastAPI app (or the one given) that has ``routes`` below the URL prefix.

    Args:
        routes: a core, or a router of one's own.
    """
    from datarobot_drum.drum.fastapi.app import build_app, include_router

    return build_app(routes, app) if isinstance(routes, ServingCore) else include_router(routes, app)
