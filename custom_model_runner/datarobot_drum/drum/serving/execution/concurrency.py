"""The slots of an executor: a fixed number, or one that follows the model."""

import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from datarobot_drum.drum.serving.execution.concurrency_limit import ConcurrencyLimit, Sample

SAMPLE_SECONDS = 0.1
MAX_GAP_SECONDS = 1.0
"""Seconds without samples after which a comparison of two limits is worthless."""

MIN_LONG_SECONDS, MAX_LONG_SECONDS, LONG_RATIO = 1.0, 5.0, 10.0
"""A call is long from ten times the mean on, within these limits."""

MEAN_WEIGHT = 0.2


@dataclass(frozen=True)
class Usage:
    """The state of an executor: totals since its start, and the calls that run and wait."""

    now: float
    completed: int
    slot_seconds: float
    """Of the calls that have finished."""
    running: Sequence[float]
    """The times since which calls hold their slots, in ascending order."""
    waiting: int


class FixedConcurrency:
    """As many slots as threads."""

    mode = "fixed"
    is_sampled = False

    def __init__(self, threads: int) -> None:
        self.slots = threads

    def register_thread(self) -> None:
        """Register the current thread as one that runs calls."""

    def start_sampling(self, usage: Usage) -> None:
        """Measure from now on."""

    def sample(self, usage: Usage) -> None:
        """Set ``slots`` by what has happened since the last sample."""


class AdaptiveConcurrency(FixedConcurrency):
    """As many slots as ``ConcurrencyLimit`` finds, and one more for each long call, up to the number of threads.

    Short calls need not wait for a long one, which itself may wait for another call.

    Args:
        limit: its maximum is the number of threads.
        max_long_seconds: calls that run longer count as long ones in any case.
    """

    mode = "auto"
    is_sampled = True

    def __init__(self, limit: ConcurrencyLimit, max_long_seconds: float = MAX_LONG_SECONDS) -> None:
        super().__init__(limit.limit)
        self._limit = limit
        self._max_long_seconds = min(max_long_seconds, MAX_LONG_SECONDS)
        self._cpu_clocks: list[int] = []
        self._mean_seconds = 0.0
        self._seconds_without_completion = 0.0
        self._last = (-MAX_GAP_SECONDS, 0, 0.0, 0.0)

    @staticmethod
    def is_supported() -> bool:
        """Return True if this system measures the CPU time of other threads: Linux, not macOS."""
        return hasattr(time, "pthread_getcpuclockid")

    def register_thread(self) -> None:
        self._cpu_clocks.append(time.pthread_getcpuclockid(threading.get_ident()))

    def start_sampling(self, usage: Usage) -> None:
        if usage.now - self._last[0] > MAX_GAP_SECONDS:
            self._limit.reset()
        self._last = self._totals(usage)

    def sample(self, usage: Usage) -> None:
        totals = self._totals(usage)
        seconds, completed, busy, cpu = (new - old for new, old in zip(totals, self._last, strict=True))
        if seconds <= 0:
            return
        self._last = totals
        self._update_mean(busy, int(completed))
        running = len(usage.running)
        waiting = usage.waiting if running >= self.slots else 0
        limit = self._limit.update(Sample(seconds, busy, cpu, int(completed), waiting, running, self.slots))
        self.slots = min(self._limit.maximum, limit + self._count_long(usage))

    def _totals(self, usage: Usage) -> tuple[float, int, float, float]:
        busy = usage.slot_seconds + sum(usage.now - since for since in usage.running)
        return usage.now, usage.completed, busy, sum(map(_cpu_seconds, self._cpu_clocks))

    def _update_mean(self, busy: float, completed: int) -> None:
        self._seconds_without_completion += busy
        if completed:
            mean = self._seconds_without_completion / completed
            self._mean_seconds += (mean - self._mean_seconds) * (MEAN_WEIGHT if self._mean_seconds else 1.0)
            self._seconds_without_completion = 0.0

    def _count_long(self, usage: Usage) -> int:
        long_seconds = min(max(MIN_LONG_SECONDS, LONG_RATIO * self._mean_seconds), self._max_long_seconds)
        return bisect_right(usage.running, usage.now - long_seconds)


def _cpu_seconds(clock: int) -> float:
    with suppress(OSError):  # the thread has ended
        return time.clock_gettime(clock)
    return 0.0
