"""``drum server`` with ``DRUM_SERVER_TYPE=gunicorn``."""

import os
import sys
from importlib.util import find_spec
from typing import NoReturn

from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.drum.settings.build import Settings

APP = "datarobot_drum.drum.wsgi:create_app()"
CONFIG = "python:datarobot_drum.drum.gunicorn.config"


def serve(settings: Settings) -> NoReturn:
    """Replace this process by gunicorn's master, which keeps the process id, the signals and the exit code.

    Raises:
        StartupError: as ``check_packages``.
    """
    check_packages(settings)
    sys.stdout.flush()
    sys.stderr.flush()
    # Settings travel in the environment, which the caller has exported.
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "--config", CONFIG, APP])


def check_packages(settings: Settings) -> None:
    """Check that the packages are installed.

    Raises:
        StartupError: gunicorn, or the extra that a worker class needs, is not.
    """
    if find_spec("gunicorn") is None:
        raise StartupError("gunicorn is not installed: pip install gunicorn, or choose another DRUM_SERVER_TYPE.")
    if settings.server.gunicorn_worker_class == "gevent" and find_spec("gevent") is None:
        raise StartupError("gevent is not installed: pip install 'datarobot-drum[gevent]'.")
