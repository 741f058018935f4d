"""Work that blocks until the test finishes it."""

import threading
import time
from collections.abc import Callable

TIMEOUT = 20.0
"""Seconds after which a test fails; a passing test never waits that long."""


class BlockingCall:
    """A callable that blocks until ``finish`` or ``fail``, which may come before it starts.

    ``on_start`` is called in the thread that runs it.
    """

    def __init__(self, result: object = None, on_start: Callable[[], object] = lambda: None) -> None:
        self._result = result
        self._error: BaseException | None = None
        self._on_start = on_start
        self._started = threading.Event()
        self._free = threading.Event()

    def __call__(self) -> object:
        self._on_start()
        self._started.set()
        if not self._free.wait(TIMEOUT):
            raise TimeoutError("The test never finished this call.")
        if self._error is not None:
            raise self._error
        return self._result

    @property
    def has_started(self) -> bool:
        return self._started.is_set()

    def wait_started(self) -> None:
        if not self._started.wait(TIMEOUT):
            raise TimeoutError("The call never started.")

    def finish(self) -> None:
        self._free.set()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._free.set()


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll ``condition``, for what has no event; other threads run between two polls."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("The condition was never met.")
        time.sleep(0)
