"""The load state of the model, for probes and prediction routes."""

import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from enum import Enum

from datarobot_drum.drum.exceptions import ModelFailedToLoad, ModelNotReady
from datarobot_drum.runtime_parameters import mask_secrets

EXTENSION_FAILED = "The extension of this server failed; the cause is in its log."


class Phase(Enum):
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class ModelState:
    """The phase of the model: loading, then once ready or failed. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.phase = Phase.LOADING
        self.cause = ""
        self.extension_failed = False
        self.finished: Future[None] = Future()
        """Done once the model is ready or has failed; await it through ``asyncio.wrap_future``."""
        # A waiter that is cancelled must not cancel it for all.
        self.finished.set_running_or_notify_cancel()

    def set_ready(self) -> None:
        """Let predictions through, unless the load has failed before."""
        self._finish(Phase.READY)

    def set_failed(self, cause: str) -> None:
        """Keep the cause of the failure, with credentials masked, for clients of an error server."""
        self._finish(Phase.FAILED, mask_secrets(cause))

    def set_extension_failed(self) -> None:
        """Fail in any phase, with a cause that tells clients nothing: what failed may be their authentication."""
        with self._lock:
            self.extension_failed = True
            self.cause = EXTENSION_FAILED
            was_loading = self.phase is Phase.LOADING
            self.phase = Phase.FAILED
        if was_loading:
            self.finished.set_result(None)

    def _finish(self, phase: Phase, cause: str = "") -> None:
        with self._lock:
            if self.phase is not Phase.LOADING:
                return
            self.cause = cause
            self.phase = phase
        self.finished.set_result(None)

    def wait(self, timeout: float) -> None:
        """Block until the load ends, for at most ``timeout`` seconds."""
        with suppress(FutureTimeoutError):
            self.finished.result(timeout)

    def require_ready(self) -> None:
        """Raise unless the model is ready.

        Raises:
            ModelNotReady: still loading (503).
            ModelFailedToLoad: on an error server (513).
        """
        if self.phase is Phase.LOADING:
            raise ModelNotReady("The model is still loading. Please retry later.")
        if self.phase is Phase.FAILED:
            raise ModelFailedToLoad(self.cause)
