"""``custom_flask.py``: the model folder's own routes, middleware and authentication on Flask."""

from pathlib import Path

from flask import Flask

from datarobot_drum.drum.serving.extensions import extend_app


def load_flask_extensions(app: Flask, code_dir: Path) -> bool:
    """Call ``init_app(app)`` of ``custom_flask.py``; return False if the model folder has none.

    Raises:
        ExtensionError: see ``extend_app``.
    """
    return extend_app(app, code_dir, "flask")
