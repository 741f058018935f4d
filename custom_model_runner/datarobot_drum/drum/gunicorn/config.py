"""gunicorn's configuration file, as a module: built from the runtime parameters when gunicorn reads it."""

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from gunicorn.errors import HaltServer

from datarobot_drum.drum.exceptions import DeadlineExceeded, StartupError
from datarobot_drum.drum.gunicorn.logger import BriefLogger, DrumLogger
from datarobot_drum.drum.gunicorn.signals import (
    install_master_handlers,
    install_worker_handlers,
    keep_stopping_at_failures,
    kill_children_with_workers,
)
from datarobot_drum.drum.gunicorn.status import WorkerRows, keep_reporting
from datarobot_drum.drum.gunicorn.sync_worker import BufferingSyncWorker
from datarobot_drum.drum.gunicorn.worker import LimitedWorker, RequestLimits, head_received, request_ended
from datarobot_drum.drum.management.management_process import ManagementProcess
from datarobot_drum.drum.management.status import WorkerState
from datarobot_drum.drum.management.watchdog.watchdog import Watchdog
from datarobot_drum.drum.model_loading.shared_model import reseed_random
from datarobot_drum.drum.process.children import WorkerGroups, end_with_parent, lead_process_group
from datarobot_drum.drum.process.hook_environment import prepare_for_hooks
from datarobot_drum.drum.process.hook_signals import hook_signals
from datarobot_drum.drum.process.signals import prepare_exit
from datarobot_drum.drum.process.sockets import accept_pending
from datarobot_drum.drum.process.tls import TlsContexts
from datarobot_drum.drum.serving.request_head import HEAD_SECONDS, MAX_HEAD_BYTES, MAX_HEADER_FIELDS
from datarobot_drum.drum.settings.build import settings_from_environment

if TYPE_CHECKING:
    from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer

WORKER_CLASSES = {
    "sync": "sync_worker.BufferingSyncWorker",
    "gthread": "gthread_worker.LimitedThreadWorker",
    "gevent": "gevent_worker.LimitedGeventWorker",
}

_settings = settings_from_environment("gunicorn")
_server = _settings.server
_watchdog = Watchdog(_settings)
_management = ManagementProcess(_settings)
_rows = WorkerRows(_management.table)
_groups = WorkerGroups()
# gunicorn itself takes a sync worker with threads for gthread.
_is_threaded = _server.gunicorn_worker_class == "sync" and _server.gunicorn_threads > 1
_worker_kind = "gthread" if _is_threaded else _server.gunicorn_worker_class

bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
workers = _settings.workers
# As text, since gevent may not be installed.
worker_class = "datarobot_drum.drum.gunicorn." + WORKER_CLASSES[_worker_kind]
threads = _server.gunicorn_threads
keepalive = _server.gunicorn_keepalive
max_requests = _server.gunicorn_max_requests
max_requests_jitter = _server.gunicorn_max_requests_jitter
backlog = _server.gunicorn_backlog
loglevel = _server.gunicorn_log_level
graceful_timeout = int(_server.graceful_timeout)
timeout = _server.gunicorn_timeout
# Of the request line there is no limit of its own: gunicorn's highest is 8 KiB. `pre_request` checks the whole head.
limit_request_line = 0
limit_request_fields = MAX_HEADER_FIELDS
limit_request_field_size = MAX_HEAD_BYTES
# By default clients at 127.0.0.1, such as a sidecar's, could move a request to another path with SCRIPT_NAME.
forwarder_headers = ""
LimitedWorker.limits = RequestLimits(
    head_timeout=_server.upload_timeout or HEAD_SECONDS,
    body_timeout=_server.upload_timeout or timeout,
    max_body=_server.max_upload_size or float("inf"),
    write_timeout=_server.write_timeout,
)
# Each worker builds the app after the fork, which threads, clients and locks of a library do not survive. The model
# alone may be loaded before (DRUM_SHARE_MODEL), if it has none of these.
preload_app = False
# It is one socket per user, in the home folder: two servers would share it, and a container may not have that folder.
control_socket_disable = True
# The heartbeat is a file; on a slow disk it would stall.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None
DrumLogger.log_format = _server.log_format
logger_class = DrumLogger if _settings.show_stacktrace else BriefLogger
accesslog = None
proc_name = "drum"


def on_starting(server: Any) -> None:
    """Start the management port, and load a model to share; the master does not listen yet."""
    try:
        _management.start()
    except StartupError as error:
        server.log.error("%s", error)
        sys.exit(1)
    if _server.share_model:
        from datarobot_drum.drum.gunicorn.sharing import share_in_master

        with _management.table.loading():
            share_in_master(server, _settings, before_restart=_management.close)


def when_ready(server: Any) -> None:
    """Install signal handlers and start the watchdog; the master listens, and has no worker yet."""
    install_master_handlers(server, on_stop=_on_stop, on_child_exit=_management.restart_if_ended)
    keep_stopping_at_failures(server)
    kill_children_with_workers(server)
    if _settings.arguments["reload"]:
        threading.Thread(target=end_with_parent, args=(os.getppid(),), name="drum-parent-watch", daemon=True).start()
    _watchdog.start(server.LISTENERS[0].getsockname()[1])


def _on_stop() -> None:
    _management.table.announce_stop()
    _watchdog.disarm()


def pre_fork(server: Any, worker: Any) -> None:
    """Reserve a row of the status table, in the master."""
    _rows.allocate(worker)


def post_fork(server: Any, worker: Any) -> None:
    """Claim the worker's row, leave the watchdog to the master, and prepare the process for the model."""
    lead_process_group()
    _rows.of(worker).claim()
    _watchdog.close_in_child()
    if _server.share_model:
        reseed_random()
    prepare_for_hooks(_settings)


def child_exit(server: Any, worker: Any) -> None:
    """Free the row of a worker that has ended, and end its children, in the master.

    Raises:
        HaltServer: with ``--reload``, if the worker has not loaded its model: the next one would end, too.
    """
    _groups.end(worker.pid)
    was_loading = _rows.of(worker).state is WorkerState.LOADING
    _rows.release(worker)
    if _management.table.is_stopping:
        return
    _management.table.count_restart()
    if was_loading and _settings.arguments["reload"]:
        raise HaltServer("The worker ended while it loaded the model.")  # the next change restarts the server


def on_exit(server: Any) -> None:
    """Close the master; its exit code says whether the watchdog ended the server."""
    _groups.kill()
    code = _watchdog.exit_code(os.EX_OK)
    _watchdog.close()
    _management.close()
    if code:
        sys.exit(code)


def post_worker_init(worker: Any) -> None:
    """Start heartbeats, and name the master as the process that a supervisor signals; the app is loaded."""
    from datarobot_drum.drum.root_predictors.start_example import log_example  # the master loads no model code

    install_worker_handlers(worker)
    if _settings.access.tls is not None:
        LimitedWorker.tls = TlsContexts(_settings.access.tls)  # not before gevent has replaced the module ssl
    hook_signals.main_thread_runs_hooks = _worker_kind != "gthread"
    server = _prediction_server(worker)
    if server is not None:
        server.worker_ctx.server_pid = worker.ppid
        keep_reporting(server, _rows.of(worker))
        log_example(server)


def pre_request(worker: Any, request: Any) -> None:
    """Check the size of request line and headers, in the worker.

    Raises:
        Rejected: they are over the limits.
    """
    head_received(request)


def post_request(worker: Any, request: Any, environ: Any, response: Any) -> None:
    """Prepare the connection for its next request."""
    request_ended(request)


def worker_int(worker: Any) -> None:
    """Fail readiness at SIGINT or SIGQUIT."""
    _drain(worker)


def worker_abort(worker: Any) -> None:
    """End a worker that the master takes for hung (SIGABRT, soon SIGKILL), and let its client know why.

    Raises:
        DeadlineExceeded: inside the call that runs in the worker; the worker ends after that.
    """
    raise DeadlineExceeded(f"The worker was busy for more than {timeout} s (DRUM_GUNICORN_TIMEOUT).")


def worker_exit(server: Any, worker: Any) -> None:
    """Serve the requests that are arriving (if the server stops, also the accept queue); then stop and clean up."""
    prediction_server = _prediction_server(worker)
    if prediction_server is not None:
        if isinstance(worker, BufferingSyncWorker):
            is_stopping = _rows.of(worker).server_is_stopping()  # else other workers, or the next one, serve the rest
            listeners = worker.sockets if is_stopping else []
            worker.finish([connection for listener in listeners for connection in accept_pending(listener)])
        prediction_server.close()
        worker.log.info("Worker %d stopped: %s.", worker.pid, prediction_server.request_log.summary())
    if worker.pid == os.getpid():
        error = sys.exc_info()[1]  # gunicorn calls this function while SystemExit is raised
        prepare_exit(error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else os.EX_OK)


def _drain(worker: Any) -> None:
    server = _prediction_server(worker)
    if server is not None:
        server.worker_ctx.drain()


def _prediction_server(worker: Any) -> "PredictionServer | None":
    """Return the server of the worker's app; None if the app failed to load."""
    extensions = getattr(getattr(worker, "wsgi", None), "extensions", {})
    server: PredictionServer | None = extensions.get("prediction_server")
    return server
