"""``custom_flask.py``: the model folder's own routes, middleware and authentication on Flask."""

from pathlib import Path

from flask import Flask

from datarobot_drum.drum.serving.extensions import extend_app


def load_flask_extensions(app: Flask, code_dir: Path) -> None:
    """Call ``init_app(app)`` of ``custom_flask.py``, if there is one.

    Raises:
        ExtensionError: see ``extend_app``.
    """
    extend_app(app, code_dir, "flask")
