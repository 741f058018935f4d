"""The doors: each builds or takes an app and mounts the routes; each loads its web framework when it is called."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI
    from flask import Flask

    from datarobot_drum.drum.serving.core import ServingCore


def get_flask_app(core: "ServingCore", app: "Flask | None" = None) -> "Flask":
    """A Flask app (or the one given) that serves ``core`` below its URL prefix."""
    from datarobot_drum.drum.flask.app import build_app

    return build_app(core, app)


def get_fastapi_app(core: "ServingCore", app: "FastAPI | None" = None) -> "FastAPI":
    """A FastAPI app (or the one given) that serves ``core`` below its URL prefix."""
    from datarobot_drum.drum.fastapi.app import build_app

    return build_app(core, app)
