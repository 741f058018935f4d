"""``drum server`` with ``DRUM_SERVER_TYPE=flask``."""

import logging
import os
import signal
import socket
import time
import traceback
from http.client import HTTPMessage
from types import FrameType
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from datarobot_drum.drum.management.watchdog.owner import Watchdog
from datarobot_drum.drum.process.sockets import HANDSHAKE_SECONDS, accept_pending, bind, turn_newcomers_away
from datarobot_drum.drum.process.tuning import take_turns_quickly
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.settings.build import Settings
from datarobot_drum.drum.werkzeug.read_timeout import patient_input

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1


class _HeaderFields(HTTPMessage):
    """Header fields alone: the parser, made for e-mail, would look for the parts of a form and trip over parameters."""

    def get_content_type(self) -> str:
        return "text/plain"


class _RequestHandler(WSGIRequestHandler):
    """Writes no lines of its own (the access log is the middleware's) and answers ``Expect`` once."""

    MessageClass = _HeaderFields

    def setup(self) -> None:
        super().setup()
        if self.timeout:
            self.rfile.close()
            self.rfile = patient_input(self.connection, self.timeout)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: every request is logged once already."""

    def log(self, type: str, message: str, *args: Any) -> None:
        logger.debug(message, *args)

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """Give back what Werkzeug had open in the frames of its request when the client left, such as a selector."""
        traceback.clear_frames(error.__traceback__)

    def handle_expect_100(self) -> bool:
        """Nothing: Werkzeug says 100 Continue itself, and once is enough."""
        return True


def serve(settings: Settings) -> int:
    """Load the model, then serve until a signal ends it; 0 after a clean stop.

    Raises:
        StartupError: the address or the model.
    """
    take_turns_quickly()
    prediction_server = PredictionServer(settings)
    prediction_server.materialize()
    return FlaskServer(prediction_server).run()


class FlaskServer:
    """Werkzeug's server with a thread a connection, so probes are answered while a prediction runs.

    The executor lets one prediction run at a time. A stop goes as on every server: readiness fails at once, connections
    are taken for the lame-duck time, then the listener closes and requests finish. A second signal stops it now.
    """

    def __init__(self, prediction_server: PredictionServer) -> None:
        self._prediction_server = prediction_server
        self._settings = prediction_server.settings.server
        self._stop_at: float | None = None

    def run(self) -> int:
        """Serve until a signal; the exit code."""
        settings = self._prediction_server.settings
        listener = bind(settings.host, settings.port)
        _RequestHandler.timeout = self._settings.upload_timeout or None
        app = self._prediction_server.app
        server = ThreadedWSGIServer(settings.host, settings.port, app, _RequestHandler, fd=listener.fileno())
        listener.close()  # the server holds a descriptor of its own
        server.timeout = POLL_SECONDS
        with Watchdog(settings).start(server.port) as watchdog:
            self._prediction_server.worker_ctx.defer_drain(watchdog.disarm)
            return watchdog.exit_code(self._serve(server))

    def _serve(self, server: ThreadedWSGIServer) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        while self._stop_at is None or time.monotonic() < self._stop_at:
            server.handle_request()
        begin = time.monotonic()
        turn_newcomers_away(server.socket)
        while time.monotonic() < begin + HANDSHAKE_SECONDS:
            server.handle_request()
        for connection in accept_pending(server.socket):
            connection.setblocking(True)
            server.process_request(connection, _peer(connection))
        server.server_close()
        return self._drain(begin)

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
            os._exit(1)
        self._prediction_server.worker_ctx.drain()
        self._stop_at = time.monotonic() + self._settings.lame_duck


def _peer(connection: socket.socket) -> Any:
    try:
        return connection.getpeername()
    except OSError:  # it has left already
        return ("", 0)
