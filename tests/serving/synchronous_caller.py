"""A thread that brings its own work, as those of a synchronous server do."""

import threading
import time
from collections.abc import Callable

from datarobot_drum.drum.serving.executor import ExecutorWithBackpressure
from tests.serving.held_work import PATIENCE


class SynchronousCaller:
    """Calls ``work`` through ``executor.call`` in a thread of its own.

    It is made when the call runs, stands in the line or was refused.
    """

    def __init__(self, executor: ExecutorWithBackpressure, work: Callable[[], object]) -> None:
        self._executor = executor
        self._work = work
        self.result: object = None
        self.error: BaseException | None = None
        known = seen_calls(executor)
        self._thread = threading.Thread(target=self._call)
        self._thread.start()
        while seen_calls(executor) == known:
            time.sleep(0)  # nothing tells from outside that a thread has joined the line, so this asks until it has

    def _call(self) -> None:
        try:
            self.result = self._executor.call(self._work)
        except BaseException as error:
            self.error = error

    def wait_ended(self) -> None:
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise TimeoutError("The call never ended.")


def seen_calls(executor: ExecutorWithBackpressure) -> int:
    """All calls that the executor has ever been asked for."""
    metrics = executor.metrics()
    states = ("running", "waiting", "completed", "rejected", "cancelled")
    return sum(metrics[f"executor_{state}"] for state in states)
