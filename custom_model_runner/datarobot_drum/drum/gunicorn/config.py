"""gunicorn's configuration file, as a module: built from the runtime parameters when gunicorn reads it."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.exceptions import DeadlineExceeded
from datarobot_drum.drum.gunicorn.logger import BriefLogger, DrumLogger
from datarobot_drum.drum.gunicorn.signals import listen_in_master, listen_in_worker
from datarobot_drum.drum.management.watchdog.owner import Watchdog
from datarobot_drum.drum.model_loading.shared_model import reseed_random
from datarobot_drum.drum.process.signals import exit_if_prediction_hangs
from datarobot_drum.drum.settings.build import settings_from_environment

if TYPE_CHECKING:
    from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer

_settings = settings_from_environment("gunicorn")
_server = _settings.server
_watchdog = Watchdog(_settings)

bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
workers = _settings.workers
worker_class = _server.gunicorn_worker_class
threads = _server.gunicorn_threads
keepalive = _server.gunicorn_keepalive
max_requests = _server.gunicorn_max_requests
max_requests_jitter = _server.gunicorn_max_requests_jitter
backlog = _server.gunicorn_backlog
loglevel = _server.gunicorn_log_level
graceful_timeout = int(_server.graceful_timeout)
timeout = _server.gunicorn_timeout
# The app comes to be in each worker, after the fork: threads, clients and locks of a library do not survive one. The
# model alone may be loaded before (DRUM_SHARE_MODEL), if it has none of these.
preload_app = False
# One socket a user, in the home folder: two servers would share it, and a container may not be able to write it.
control_socket_disable = True
# The heartbeat is a file; on a slow disk it would stall.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
DrumLogger.log_format = _server.log_format
logger_class = DrumLogger if _settings.show_stacktrace else BriefLogger
accesslog = None
proc_name = "drum"


def on_starting(server: Any) -> None:
    """The master does not listen yet."""
    if _server.share_model:
        from datarobot_drum.drum.gunicorn.sharing import share_in_master

        share_in_master(server, _settings)


def when_ready(server: Any) -> None:
    """The master listens, and has no worker yet."""
    listen_in_master(server, on_stop=_watchdog.disarm)
    _watchdog.start(server.LISTENERS[0].getsockname()[1])


def post_fork(server: Any, worker: Any) -> None:
    """The watchdog is the master's, and so are the random numbers of a model that is shared."""
    _watchdog.close_in_child()
    if _server.share_model:
        reseed_random()


def on_exit(server: Any) -> None:
    """The master's last act; its exit code tells when it was the watchdog that ended the server."""
    code = _watchdog.exit_code(os.EX_OK)
    _watchdog.close()
    if code:
        sys.exit(code)


def post_worker_init(worker: Any) -> None:
    """The worker has loaded the app: its master is the process that a supervisor signals."""
    listen_in_worker(worker)
    server = _prediction_server(worker)
    if server is not None:
        server.worker_ctx.server_pid = worker.ppid


def worker_int(worker: Any) -> None:
    """SIGINT or SIGQUIT: fail readiness at once."""
    _drain(worker)


def worker_abort(worker: Any) -> None:
    """SIGABRT: the master takes a silent worker for hung, and soon kills it. Whoever waits for it is told why.

    Raises:
        DeadlineExceeded: inside whatever the worker was busy with; the worker ends after that.
    """
    raise DeadlineExceeded(f"The worker was busy for more than {timeout} s (DRUM_GUNICORN_TIMEOUT).")


def worker_exit(server: Any, worker: Any) -> None:
    """The worker's last act: stop, then clean up in order."""
    prediction_server = _prediction_server(worker)
    if prediction_server is not None:
        prediction_server.close()
        worker.log.info("Worker %d stopped: %s.", worker.pid, prediction_server.request_log.summary())
        exit_if_prediction_hangs(os.EX_OK)


def _drain(worker: Any) -> None:
    server = _prediction_server(worker)
    if server is not None:
        server.worker_ctx.drain()


def _prediction_server(worker: Any) -> "PredictionServer | None":
    """The server inside the worker's app; None when the app never came to be."""
    extensions = getattr(getattr(worker, "wsgi", None), "extensions", {})
    server: PredictionServer | None = extensions.get("prediction_server")
    return server
