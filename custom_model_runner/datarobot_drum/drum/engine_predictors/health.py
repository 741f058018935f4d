"""Poll an engine's health in a background thread; reading the state never blocks."""

import logging
import threading
from contextlib import closing
from enum import Enum

import httpx

from datarobot_drum.drum.engine_predictors.client import open_client
from datarobot_drum.drum.exceptions import MODEL_FAILED, ModelNotReady
from datarobot_drum.drum.language_predictors.base import ProbeResult, Worker
from datarobot_drum.drum.settings.engine import EngineSettings

FIRST_TIMEOUT = 1.0
TIMEOUT = 10.0
"""Timeouts of a health check in seconds. The first is shorter, since the start of the worker waits for it."""

THREAD = "drum-engine-health"

logger = logging.getLogger(__name__)


class Health(str, Enum):
    """The states of an engine."""

    STARTING = "starting"
    """The engine has not been ready since this server started."""

    READY = "ready"

    CRASHED = "crashed"
    """The engine was ready and no longer is."""


class EngineHealthMonitor:
    """A background poll of one engine. Probes may read ``state``, which never blocks."""

    def __init__(self, engine: EngineSettings) -> None:
        self._engine = engine
        self._stopped = threading.Event()
        self.state = Health.STARTING

    def start(self, worker: Worker) -> None:
        """Check the health once, then poll in a thread that ``worker`` stops."""
        self._client = open_client(self._engine)
        self._check(FIRST_TIMEOUT)
        thread = threading.Thread(target=self._poll, name=THREAD, daemon=True)
        worker.add_thread(thread)
        worker.defer_stop(self._stopped.set, "stop polling the engine's health")
        thread.start()

    def probe(self) -> ProbeResult:
        """Return the result of a readiness probe."""
        if self.state is Health.READY:
            return {"message": "OK"}
        return {"message": f"ERROR: {self._status_message}"}, MODEL_FAILED if self.state is Health.CRASHED else 503

    def require_ready(self) -> None:
        """Require a ready engine.

        Raises:
            ModelNotReady: the engine is starting or has crashed (503).
        """
        if self.state is not Health.READY:
            raise ModelNotReady(f"{self._status_message} Please retry later.")

    @property
    def _status_message(self) -> str:
        if self.state is Health.CRASHED:
            return f"The {self._engine.kind} engine was ready but does not answer any more."
        return f"The {self._engine.kind} engine is still starting."

    def _poll(self) -> None:
        with closing(self._client):
            while not self._stopped.wait(self._engine.health_interval):
                self._check(TIMEOUT)

    def _check(self, timeout: float) -> None:
        try:
            ready = self._client.get(self._engine.health_path, timeout=timeout).status_code == 200
        except httpx.HTTPError:
            ready = False
        if ready:
            self._set_state(Health.READY)
        elif self.state is Health.READY:
            self._set_state(Health.CRASHED)

    def _set_state(self, state: Health) -> None:
        if state is self.state:
            return
        self.state = state
        level = logging.WARNING if state is Health.CRASHED else logging.INFO
        logger.log(level, "The %s engine at %s is %s.", self._engine.kind, self._engine.url, state.value)
