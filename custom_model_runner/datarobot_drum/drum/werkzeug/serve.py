"""``drum server`` with ``DRUM_SERVER_TYPE=flask``."""

import logging
import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable
from http.client import HTTPMessage
from types import FrameType
from typing import Any

from werkzeug.serving import ThreadedWSGIServer

from datarobot_drum.drum.iterators import close_iterator
from datarobot_drum.drum.management.management_process import ManagementProcess
from datarobot_drum.drum.management.reporting import StatusReporter
from datarobot_drum.drum.management.watchdog.watchdog import Watchdog
from datarobot_drum.drum.process.client_writes import ClientStalled
from datarobot_drum.drum.process.hook_environment import prepare_for_hooks
from datarobot_drum.drum.process.hook_signals import hook_signals
from datarobot_drum.drum.process.signals import abort_process, stop_signals
from datarobot_drum.drum.process.sockets import accept_pending, bind
from datarobot_drum.drum.process.tuning import shorten_switch_interval
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.root_predictors.start_example import log_example
from datarobot_drum.drum.settings.build import Settings
from datarobot_drum.drum.werkzeug.request_head import LimitedHeadersHandler
from datarobot_drum.drum.werkzeug.write_timeout import TimedWriter

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1

FIRST_REQUEST_SECONDS = 1.0
"""How long a connection that was open before the listener closed may take to send its request."""


class _HeaderFields(HTTPMessage):
    """Header fields alone: the e-mail parser below it would look for the parts of a form."""

    def get_content_type(self) -> str:
        return "text/plain"


class _RequestHandler(LimitedHeadersHandler):
    """A handler without log lines of its own (the access log is the middleware's); it answers ``Expect`` once."""

    MessageClass = _HeaderFields
    write_timeout = 0.0
    """Seconds that a client may go without reading; 0 for no limit."""

    def setup(self) -> None:
        super().setup()
        if self.write_timeout:
            self.wfile = TimedWriter(self.connection, self.write_timeout)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: the request log has every request."""

    def log(self, type: str, message: str, *args: Any) -> None:
        logger.debug(message, *args)

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """Close what Werkzeug leaves open when the client disconnects: its selector and the response body.

        The selector refers to itself, so its descriptor would stay open until the next garbage collection.
        """
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_name == "execute":
                close_iterator(frame.f_locals.get("application_iter"))
                close_iterator(frame.f_locals.get("selector"))
        if isinstance(error, ClientStalled):
            self.connection.close()  # resets it: the response is incomplete, and Werkzeug would end it in order

    def handle_expect_100(self) -> bool:
        """Do nothing: Werkzeug sends 100 Continue itself."""
        return True


class _Server(ThreadedWSGIServer):
    """Werkzeug's server with a thread a connection, which counts its connections."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = threading.Lock()
        self.open_connections = 0

    def process_request(self, request: Any, client_address: Any) -> None:
        self._count(1)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self.open_connections += change


def serve(settings: Settings) -> int:
    """Load the model, then serve until a signal ends it; return 0 after a clean stop.

    Raises:
        StartupError: the address or the model.
    """
    shorten_switch_interval()
    prepare_for_hooks(settings)
    with ManagementProcess(settings).start() as management:
        status = management.table.allocate().claim()
        prediction_server = PredictionServer(settings)
        reporter = StatusReporter(prediction_server, status)
        prediction_server.materialize()
        log_example(prediction_server)
        hook_signals.main_thread_runs_hooks = False

        def on_poll() -> None:
            reporter.beat()
            management.restart_if_ended()

        return FlaskServer(prediction_server, on_poll).run()


class FlaskServer:
    """Werkzeug's server as a process: signals, draining and exit code.

    The executor lets one prediction run at a time; probes are answered meanwhile. At the first signal readiness fails,
    and connections are accepted for the lame-duck time. Then the listener closes and requests finish. A second signal
    stops the process at once.

    Args:
        on_poll: called several times a second by the loop that accepts connections.
    """

    def __init__(self, prediction_server: PredictionServer, on_poll: Callable[[], object] = lambda: None) -> None:
        self._prediction_server = prediction_server
        self._settings = prediction_server.settings.server
        self._on_poll = on_poll
        self._stop_at: float | None = None

    def run(self) -> int:
        """Serve until a signal; return the exit code."""
        settings = self._prediction_server.settings
        listener = bind(settings.host, settings.port)
        _RequestHandler.upload_timeout = self._settings.upload_timeout
        _RequestHandler.write_timeout = self._settings.write_timeout
        app = self._prediction_server.app
        server = _Server(settings.host, settings.port, app, _RequestHandler, fd=listener.fileno())
        listener.close()  # the server holds a descriptor of its own
        server.timeout = POLL_SECONDS
        with Watchdog(settings).start(server.port) as watchdog:
            self._prediction_server.worker_ctx.defer_drain(watchdog.disarm)
            return watchdog.exit_code(self._serve(server, watchdog))

    def _serve(self, server: _Server, watchdog: Watchdog) -> int:
        for number in stop_signals():
            signal.signal(number, self._on_signal)
        while self._stop_at is None or time.monotonic() < self._stop_at:
            server.handle_request()
            self._on_poll()
            watchdog.beat()
        begin = time.monotonic()
        for connection in accept_pending(server.socket):
            connection.setblocking(True)
            server.process_request(connection, _peer(connection))
        server.server_close()
        self._wait_for_first_requests(server)
        return self._drain(begin)

    def _wait_for_first_requests(self, server: _Server) -> None:
        """Wait for the requests of clients that have connected: ending now would lose them."""
        deadline = time.monotonic() + FIRST_REQUEST_SECONDS
        while server.open_connections > self._prediction_server.request_log.in_flight and time.monotonic() < deadline:
            time.sleep(0.01)

    def _drain(self, begin: float) -> int:
        request_log = self._prediction_server.request_log
        if request_log.in_flight:
            logger.info(
                "Waiting up to %d s for %d requests in flight.", self._settings.graceful_timeout, request_log.in_flight
            )
        clean = request_log.wait_empty(self._settings.graceful_timeout)
        self._prediction_server.close()
        logger.info("Stopped after a drain of %.1f s: %s.", time.monotonic() - begin, request_log.summary())
        return os.EX_OK if clean else 1

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._stop_at is not None:
            if number == signal.SIGHUP:  # a terminal and its shell may both send it
                return
            abort_process(1)
        self._prediction_server.worker_ctx.drain()
        self._stop_at = time.monotonic() + self._settings.lame_duck


def _peer(connection: socket.socket) -> Any:
    try:
        return connection.getpeername()
    except OSError:  # the client has disconnected already
        return ("", 0)
