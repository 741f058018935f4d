"""``drum server`` with ``DRUM_SERVER_TYPE=fastapi``."""

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import NoReturn

from datarobot_drum.drum.management.management_process import ManagementProcess
from datarobot_drum.drum.management.watchdog.watchdog import Watchdog
from datarobot_drum.drum.process.hook_environment import prepare_for_hooks
from datarobot_drum.drum.process.sockets import bind
from datarobot_drum.drum.settings.arguments import Arguments, to_argv
from datarobot_drum.drum.settings.build import Settings
from datarobot_drum.drum.settings.declaration import SERVER
from datarobot_drum.drum.uvicorn.grpc_port import check_grpc_port


def serve(settings: Settings) -> int:
    """Run until a signal ends the server; return 0 after a clean stop.

    Raises:
        StartupError: the address or the model.
    """
    with ManagementProcess(settings).start() as management:
        return _serve(settings, management)


def _serve(settings: Settings, management: ManagementProcess) -> int:
    is_supervised = settings.workers > 1 or bool(settings.server.fastapi_max_requests)
    is_shared = is_supervised and settings.server.share_model and _share_model(settings, management)
    listener = bind(settings.host, settings.port)
    check_grpc_port(settings)
    with Watchdog(settings).start(listener.getsockname()[1]) as watchdog:
        if is_supervised:
            from datarobot_drum.drum.uvicorn.supervisor import Supervisor

            after_fork = partial(_after_fork, watchdog) if is_shared else None
            supervisor = Supervisor(settings, listener, management, on_stop=watchdog.disarm, after_fork=after_fork)
            return watchdog.exit_code(supervisor.run())
        prepare_for_hooks(settings, main_thread_runs_hooks=False)
        status = management.table.allocate().claim()
        from datarobot_drum.drum.uvicorn.server import run_server

        def beat() -> None:
            management.restart_if_ended()
            watchdog.beat()

        return watchdog.exit_code(run_server(settings, listener, status, on_drain=watchdog.disarm, on_beat=beat))


def _share_model(settings: Settings, management: ManagementProcess) -> bool:
    """Load the model, and the code of the workers, into this process, which is to fork them; return whether it did.

    Raises:
        StartupError: the model did not load and there is no error server.
    """
    from datarobot_drum.drum.model_loading.shared_model import load_shared_model

    with management.table.loading():
        if not load_shared_model(settings, partial(_restart, settings, management.close)):
            return False
        import_module("datarobot_drum.drum.uvicorn.server")  # for all workers at once
    return True


def _restart(settings: Settings, close: Callable[[], object], environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by the same server, with other variables."""
    close()
    argv = to_argv(SERVER, Arguments(**settings.arguments))
    os.execve(sys.executable, [sys.executable, "-m", "datarobot_drum", SERVER, *argv], environment)


def _after_fork(watchdog: Watchdog) -> None:
    """Leave the watchdog to the supervisor, and draw random numbers of this worker's own."""
    from datarobot_drum.drum.model_loading.shared_model import reseed_random

    watchdog.close_in_child()
    reseed_random()
