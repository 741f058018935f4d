"""Work that a test holds: it says when it starts and ends when it is told to."""

import threading
import time
from collections.abc import Callable

PATIENCE = 20.0
"""Seconds after which a test gives up on what must happen at once; never waited for when all is well."""


class BlockingCall:
    """Callable that blocks until ``finish`` (or ``fail``) is called, before or after it has started.

    ``on_start`` is called in the thread that works.
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
        if not self._free.wait(PATIENCE):
            raise TimeoutError("The test never let this work end.")
        if self._error is not None:
            raise self._error
        return self._result

    @property
    def has_started(self) -> bool:
        return self._started.is_set()

    def wait_started(self) -> None:
        if not self._started.wait(PATIENCE):
            raise TimeoutError("The work never started.")

    def finish(self) -> None:
        self._free.set()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._free.set()


def wait_until(condition: Callable[[], bool]) -> None:
    """Ask until ``condition`` holds, where nothing can tell; between two questions the other threads run."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("What the test waits for never happened.")
        time.sleep(0)
