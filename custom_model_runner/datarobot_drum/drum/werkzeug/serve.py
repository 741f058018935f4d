"""``drum server`` with ``DRUM_SERVER_TYPE=flask``."""

import logging
import os
import signal
import threading
from types import FrameType
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from datarobot_drum.drum.listening import bind
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.settings import Settings

logger = logging.getLogger(__name__)


class _RequestHandler(WSGIRequestHandler):
    """Writes no lines of its own: the access log is the middleware's."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: every request is logged once already."""

    def log(self, type: str, message: str, *args: Any) -> None:
        logger.debug(message, *args)


def serve(settings: Settings) -> int:
    """Load the model, then serve until a signal ends it; 0 after a clean stop.

    Connections have a thread each, so probes are answered while a prediction runs; the executor lets one prediction
    run at a time.

    Raises:
        StartupError: the address or the model.
    """
    prediction_server = PredictionServer(settings)
    prediction_server.materialize()
    listener = bind(settings.host, settings.port)
    server = make_server(
        settings.host,
        settings.port,
        prediction_server.app,
        threaded=True,
        request_handler=_RequestHandler,
        fd=listener.fileno(),
    )
    listener.close()  # the server holds a descriptor of its own
    _stop_on_signals(server, prediction_server)
    try:
        server.serve_forever()
        prediction_server.executor.wait_idle(settings.server.graceful_timeout)
    finally:
        server.server_close()
        prediction_server.close()
    return os.EX_OK


def _stop_on_signals(server: BaseWSGIServer, prediction_server: PredictionServer) -> None:
    signals = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            os._exit(1)
        prediction_server.worker_ctx.drain()
        # `shutdown` waits for the loop, which runs in this very thread.
        threading.Thread(target=server.shutdown, name="drum-shutdown").start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
