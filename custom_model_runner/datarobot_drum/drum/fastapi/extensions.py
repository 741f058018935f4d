"""``custom_fastapi.py``: the model folder's own routes, middleware, dependencies and authentication on FastAPI."""

from pathlib import Path

from fastapi import FastAPI

from datarobot_drum.drum.serving.extensions import extend_app


def load_fastapi_extensions(app: FastAPI, code_dir: Path) -> None:
    """Call ``init_app(app)`` of ``custom_fastapi.py``, if there is one.

    Raises:
        ExtensionError: see ``extend_app``.
    """
    extend_app(app, code_dir, "fastapi")
