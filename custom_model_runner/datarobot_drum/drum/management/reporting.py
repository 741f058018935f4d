"""The worker's side: its state, written into its row of the status table."""

import threading
import time
from contextlib import suppress
from http import HTTPStatus

from datarobot_drum.drum.management.status import WorkerState, WorkerStatus
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.serving.messages import ModelRequest
from datarobot_drum.drum.serving.model_state import Phase

BEAT_SECONDS = 0.5
"""Time between two heartbeats of a worker."""

PROBE_SECONDS = 1.0
"""Time between the end of a call of the model's own readiness probe and the next one."""

PROBE_TIMEOUT = 10.0
"""Seconds after which a model whose own readiness probe has not returned is not ready."""


class StatusReporter:
    """Reports the state of one prediction server.

    Running predictions and the start of draining are reported at once, by callbacks. The rest is reported with each
    heartbeat, for which whatever runs the worker's loop calls ``beat``.
    """

    def __init__(self, server: PredictionServer, status: WorkerStatus) -> None:
        self._server = server
        self._status = status
        server.executor.on_running = status.set_running
        server.worker_ctx.defer_drain(status.set_draining)
        server.worker_ctx.defer_stop(status.set_draining)
        self._probe_thread: threading.Thread | None = None
        self._probe_started: float | None = None

    def beat(self) -> None:
        """Record that the worker's loop turns, and how the model is."""
        self._status.beat()
        if not self._server.core.handlers.has_own_probes:
            self._status.set_state(self._state())
        elif self._probe_thread is None:
            self._probe_thread = threading.Thread(target=self._report_probe, name="drum-model-probe", daemon=True)
            self._probe_thread.start()
        elif (started := self._probe_started) is not None and time.monotonic() - started > PROBE_TIMEOUT:
            self._status.set_state(WorkerState.NOT_READY)

    def _report_probe(self) -> None:
        """Report what the model's own readiness probe says. It may take long, or hang: it has a thread of its own."""
        while self._server.worker_ctx.is_running:
            self._probe_started = time.monotonic()
            state = self._state()
            self._probe_started = None
            self._status.set_state(state)
            time.sleep(PROBE_SECONDS)

    def _state(self) -> WorkerState:
        phase = self._server.state.phase
        if phase is not Phase.READY:
            return WorkerState.LOADING if phase is Phase.LOADING else WorkerState.FAILED
        with suppress(Exception):  # a predictor's own probe may raise anything
            if self._server.core.handlers.do_readyz(ModelRequest()).status == HTTPStatus.OK:
                return WorkerState.READY
        return WorkerState.NOT_READY
