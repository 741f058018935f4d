"""``drum server`` with ``DRUM_SERVER_TYPE=fastapi``."""

import os
import sys
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import NoReturn

from datarobot_drum.drum.management.watchdog.owner import Watchdog
from datarobot_drum.drum.process.sockets import bind
from datarobot_drum.drum.settings.arguments import Arguments, to_argv
from datarobot_drum.drum.settings.build import Settings
from datarobot_drum.drum.settings.declaration import SERVER


def serve(settings: Settings) -> int:
    """Run until a signal ends the server; 0 after a clean stop.

    Raises:
        StartupError: the address or the model.
    """
    is_supervised = settings.workers > 1 or bool(settings.server.fastapi_max_requests)
    is_shared = is_supervised and settings.server.share_model and _share_model(settings)
    listener = bind(settings.host, settings.port)
    with Watchdog(settings).start(listener.getsockname()[1]) as watchdog:
        if is_supervised:
            from datarobot_drum.drum.uvicorn.supervisor import Supervisor

            after_fork = partial(_after_fork, watchdog) if is_shared else None
            supervisor = Supervisor(settings, listener, on_stop=watchdog.disarm, after_fork=after_fork)
            return watchdog.exit_code(supervisor.run())
        from datarobot_drum.drum.uvicorn.server import run_server

        return watchdog.exit_code(run_server(settings, listener, on_drain=watchdog.disarm))


def _share_model(settings: Settings) -> bool:
    """Load the model, and the code of the workers, into this process, which is to fork them; whether it did.

    Raises:
        StartupError: the model did not load and there is no error server.
    """
    from datarobot_drum.drum.model_loading.shared_model import load_to_share

    def begin_anew(environment: Mapping[str, str]) -> NoReturn:
        words = to_argv(SERVER, Arguments(**settings.arguments))
        os.execve(sys.executable, [sys.executable, "-m", "datarobot_drum", SERVER, *words], environment)

    if not load_to_share(settings, begin_anew):
        return False
    import_module("datarobot_drum.drum.uvicorn.server")
    return True


def _after_fork(watchdog: Watchdog) -> None:
    """In a worker: the watchdog is the supervisor's, and so are its random numbers."""
    from datarobot_drum.drum.model_loading.shared_model import reseed_random

    watchdog.close_in_child()
    reseed_random()
