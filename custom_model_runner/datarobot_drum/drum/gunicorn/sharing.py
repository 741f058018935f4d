"""Loading the model in gunicorn's master (``DRUM_SHARE_MODEL``), before it listens and forks its workers."""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.model_loading.shared_model import load_shared_model
from datarobot_drum.drum.process.logs import configure_logging
from datarobot_drum.drum.process.signals import exiting_on_signals
from datarobot_drum.drum.settings.build import Settings

logger = logging.getLogger(__name__)

FAILED_TO_BOOT = 3
"""gunicorn's own exit code where a worker could not load its app."""

_WORKER_CODE = ("datarobot_drum.drum.wsgi:create_app", "datarobot_drum.drum.flask.app:build_app")


def share_in_master(arbiter: Any, settings: Settings, before_restart: Callable[[], object]) -> None:
    """Load the model, and the code of the workers, into the master, which exits if the model does not load.

    Args:
        before_restart: called if the master has to restart without the model.
    """
    configure_logging(settings.logging_level, settings.server.log_format)
    if settings.server.gunicorn_worker_class == "gevent":
        logger.warning(
            "The model is not shared between the workers (DRUM_SHARE_MODEL): gevent changes Python's own modules in "
            "each worker, which is too late for a model that was loaded before."
        )
        return

    def restart(environment: Mapping[str, str]) -> NoReturn:
        before_restart()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)

    with exiting_on_signals():
        try:
            is_shared = load_shared_model(settings, restart)
        except StartupError:
            arbiter.log.exception("The model failed to load.")
            sys.exit(FAILED_TO_BOOT)
        for code in _WORKER_CODE if is_shared else ():
            import_from_string(code)
