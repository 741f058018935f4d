"""Where a model is on its way from loading to serving; both servers' probes and routes ask it."""

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
    """Starts as loading; settles once, on any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.phase = Phase.LOADING
        self.cause = ""
        self.extension_failed = False
        self.settled: Future[None] = Future()
        """Done once the model is ready or has failed; await it through ``asyncio.wrap_future``."""
        # A waiter that is cancelled must not cancel it for all.
        self.settled.set_running_or_notify_cancel()

    def set_ready(self) -> None:
        self._settle(Phase.READY)

    def set_failed(self, cause: str) -> None:
        """``cause`` is what clients of an error server read, so credentials are masked in it."""
        self._settle(Phase.FAILED, mask_secrets(cause))

    def set_extension_failed(self) -> None:
        """Fail in any phase, with a cause that tells clients nothing: what failed may be their authentication."""
        with self._lock:
            self.extension_failed = True
            self.cause = EXTENSION_FAILED
            was_loading = self.phase is Phase.LOADING
            self.phase = Phase.FAILED
        if was_loading:
            self.settled.set_result(None)

    def _settle(self, phase: Phase, cause: str = "") -> None:
        with self._lock:
            if self.phase is not Phase.LOADING:
                return
            self.cause = cause
            self.phase = phase
        self.settled.set_result(None)

    def wait(self, timeout: float) -> None:
        """Block for at most ``timeout`` seconds while the model loads."""
        with suppress(FutureTimeoutError):
            self.settled.result(timeout)

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
