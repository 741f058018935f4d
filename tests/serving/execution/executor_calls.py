"""Callers, clocks and counts for tests of the executor."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure
from tests.serving.execution.blocking_call import TIMEOUT, BlockingCall, wait_until


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose timers use the clock of the executor."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock
        super().__init__()

    def time(self) -> float:
        return self._now()


class SynchronousCaller:
    """A thread that calls ``work`` as a synchronous server does: by ``call``, or by ``call_with_timeout``.

    The constructor returns once the call runs, waits or is rejected.
    """

    def __init__(
        self, executor: ExecutorWithBackpressure, work: Callable[[], object], timeout: float | None = None
    ) -> None:
        self._executor = executor
        self._work = work
        self.timeout = timeout
        self.discarded = False
        self.result: object = None
        self.error: BaseException | None = None
        known = received_calls(executor)
        self._thread = threading.Thread(target=self._call)
        self._thread.start()
        wait_until(lambda: received_calls(executor) > known)

    def _call(self) -> None:
        try:
            if self.timeout is None:
                self.result = self._executor.call(self._work)
            else:
                self.result = self._executor.call_with_timeout(self.timeout, self._work, self._discard)
        except BaseException as error:
            self.error = error

    def _discard(self) -> None:
        self.discarded = True

    def join(self) -> None:
        self._thread.join(TIMEOUT)
        if self._thread.is_alive():
            raise TimeoutError("The call never finished.")


def received_calls(executor: ExecutorWithBackpressure) -> int:
    """Return the number of calls that the executor has received."""
    metrics = executor.metrics()
    states = ("running", "waiting", "completed", "rejected", "cancelled")
    return sum(metrics[f"executor_{state}"] for state in states)


def counts(executor: ExecutorWithBackpressure, *names: str) -> tuple[Any, ...]:
    metrics = executor.metrics()
    return tuple(metrics[f"executor_{name}"] for name in names)


@contextmanager
def busy(executor: ExecutorWithBackpressure) -> Iterator[BlockingCall]:
    """Keep one slot of the executor busy during the block."""
    work = BlockingCall()
    caller = SynchronousCaller(executor, work)
    work.wait_started()
    try:
        yield work
    finally:
        work.finish()
        caller.join()
