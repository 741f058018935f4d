"""Where a model is on its way from loading to serving; both servers' probes and routes ask it."""

import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from enum import Enum

from datarobot_drum.drum.exceptions import ModelFailedToLoad, ModelNotReady
from datarobot_drum.runtime_parameters import mask_secrets


class Phase(Enum):
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class ModelState:
    """Starts as loading; settles once, on any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.phase = Phase.LOADING
        self.cause = ""
        self.finished: Future[None] = Future()
        """Done once the model is ready or has failed; await it through ``asyncio.wrap_future``."""
        # A waiter that is cancelled must not cancel it for all.
        self.finished.set_running_or_notify_cancel()

    def set_ready(self) -> None:
        self._finish(Phase.READY)

    def set_failed(self, cause: str) -> None:
        """``cause`` is what clients of an error server read, so credentials are masked in it."""
        self._finish(Phase.FAILED, mask_secrets(cause))

    def _finish(self, phase: Phase, cause: str = "") -> None:
        with self._lock:
            if self.phase is not Phase.LOADING:
                return
            self.cause = cause
            self.phase = phase
        self.finished.set_result(None)

    def wait(self, timeout: float) -> None:
        """Block for at most ``timeout`` seconds while the model loads."""
        with suppress(FutureTimeoutError):
            self.finished.result(timeout)

    def require_ready(self) -> None:
        """Let a prediction through, or refuse it with the state's own status.

        Raises:
            ModelNotReady: still loading (503).
            ModelFailedToLoad: on an error server (513).
        """
        if self.phase is Phase.LOADING:
            raise ModelNotReady("The model is still loading. Please retry later.")
        if self.phase is Phase.FAILED:
            raise ModelFailedToLoad(self.cause)
