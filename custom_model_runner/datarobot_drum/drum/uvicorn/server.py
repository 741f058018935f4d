"""One uvicorn server in one process."""

import logging
import os
import signal
import socket
from importlib.util import find_spec
from types import FrameType
from typing import Any

import uvicorn

from datarobot_drum.drum.listening import BACKLOG
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.settings import Settings

logger = logging.getLogger(__name__)


class DrumServer(uvicorn.Server):
    """Ends when the model cannot be served, fails readiness at the first signal, exits with 0 after a clean drain.

    Args:
        supervised: a parent forwards its signals, so a second SIGTERM is an echo and SIGQUIT means stop now;
            otherwise any second signal means stop now.
    """

    def __init__(self, prediction_server: PredictionServer, *, supervised: bool) -> None:
        super().__init__(uvicorn_config(prediction_server.settings, prediction_server.app))
        self._prediction_server = prediction_server
        self._supervised = supervised
        prediction_server.state.settled.add_done_callback(self._on_model_settled)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        if self._supervised:
            # A terminal sends Ctrl-C to the whole group; the parent decides what it means.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGQUIT, self.handle_exit)
        super().run(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: drain, or stop now. Not kept for later, so the process does not die of it once drained."""
        if self._supervised and sig == signal.SIGINT:
            return
        stop_now = sig == signal.SIGQUIT if self._supervised else self.should_exit
        self._prediction_server.worker_ctx.drain()
        self.should_exit = True
        self.force_exit = self.force_exit or stop_now

    def _on_model_settled(self, _: Any) -> None:
        if self._prediction_server.failed:
            self.should_exit = True


def uvicorn_config(settings: Settings, app: Any) -> uvicorn.Config:
    """uvicorn's configuration: our log, our headers, and its fastest loop and parser where they are installed."""
    return uvicorn.Config(
        app,
        http="httptools" if find_spec("httptools") else "auto",
        loop="uvloop" if find_spec("uvloop") else "auto",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=int(settings.server.fastapi_keepalive),
        timeout_graceful_shutdown=int(settings.server.graceful_timeout),
    )


def run_server(settings: Settings, listener: socket.socket, *, supervised: bool = False) -> None:
    """Serve until a signal ends it.

    Raises:
        StartupError: the model failed to load and there is no error server.
    """
    prediction_server = PredictionServer(settings)
    if supervised:
        prediction_server.worker_ctx.server_pid = os.getppid()
    prediction_server.materialize()
    DrumServer(prediction_server, supervised=supervised).run([listener])
    prediction_server.raise_load_failure()
