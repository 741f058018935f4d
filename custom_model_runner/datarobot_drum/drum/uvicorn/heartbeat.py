"""Signs of life of one worker, in memory that it shares with its supervisor.

An event loop that stops beating is hung, unless a prediction or the load of the model holds the interpreter: Python
cannot run the loop meanwhile, however healthy the worker is. So a worker also says what it is doing, and the
supervisor grants each its own patience.
"""

import asyncio
import math
import multiprocessing
import time
from contextlib import suppress

BEAT_SECONDS = 0.5

_BEAT, _LOADING, _PREDICTING, _DRAINING, _SERVER_STOPS = range(5)


class Heartbeat:
    """Five numbers; each has one writer, so no lock is needed. Passed to the worker when it is spawned."""

    def __init__(self) -> None:
        self._shared = multiprocessing.get_context("spawn").RawArray("d", 5)
        self._shared[_BEAT] = time.monotonic()
        self._shared[_LOADING] = 1.0

    # The worker

    def beat(self) -> None:
        self._shared[_BEAT] = time.monotonic()

    def loaded(self) -> None:
        self._shared[_LOADING] = 0.0
        self.beat()

    def predicting(self, running: int) -> None:
        """As many predictions run now; called before the first one can take the interpreter."""
        if not running or not self._shared[_PREDICTING]:
            self.beat()  # from here on another patience applies
        self._shared[_PREDICTING] = running

    def draining(self) -> None:
        self._shared[_DRAINING] = 1.0

    @property
    def server_stops(self) -> bool:
        """Whether the whole server is told to stop, not this worker alone."""
        return bool(self._shared[_SERVER_STOPS])

    async def keep_beating(self) -> None:
        """Beat from the event loop until cancelled."""
        with suppress(asyncio.CancelledError):
            while True:
                self.beat()
                await asyncio.sleep(BEAT_SECONDS)

    # The supervisor

    def announce_stop(self) -> None:
        """Before the worker is told to stop because all are."""
        self._shared[_SERVER_STOPS] = 1.0

    def silence(self) -> float:
        """Seconds since the last beat (the clock is that of the machine, the same in every process)."""
        return time.monotonic() - float(self._shared[_BEAT])

    def is_hung(self, idle_patience: float, predicting_patience: float) -> bool:
        """Whether the worker has been silent for longer than what it is doing explains."""
        if not idle_patience or self._shared[_LOADING] or self._shared[_DRAINING]:
            return False
        patience = predicting_patience if self._shared[_PREDICTING] else idle_patience
        return self.silence() > patience


def patience_for_predictions(idle_patience: float, request_timeout: float) -> float:
    """A prediction may take its whole request timeout; without one, a silence during predictions proves nothing."""
    return idle_patience + request_timeout if request_timeout else math.inf
