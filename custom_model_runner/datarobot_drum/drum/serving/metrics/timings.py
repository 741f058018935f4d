"""Durations of the steps of a prediction, for ``time_info`` of ``/stats/``."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType


@dataclass
class _Timing:
    count: int = 0
    total: float = 0.0
    minimum: float = float("inf")
    maximum: float = 0.0


class Timings:
    """Minimum, average and maximum duration in seconds by label. Thread-safe.

    Args:
        on_record: called with each duration.
    """

    def __init__(self, on_record: Callable[[float], object] | None = None) -> None:
        self._on_record = on_record
        self._lock = threading.Lock()
        self._timings: dict[str, _Timing] = {}

    def measure(self, label: str) -> "Measurement":
        """Return a context manager that records its duration under ``label``, unless it raises."""
        return Measurement(self, label)

    def record(self, label: str, seconds: float) -> None:
        if self._on_record:
            self._on_record(seconds)
        with self._lock:
            timing = self._timings.get(label)
            if timing is None:
                timing = self._timings[label] = _Timing()
            timing.count += 1
            timing.total += seconds
            if seconds < timing.minimum:
                timing.minimum = seconds
            if seconds > timing.maximum:
                timing.maximum = seconds

    def summary(self) -> dict[str, dict[str, float]]:
        with self._lock:
            return {
                label: {"min": t.minimum, "avg": t.total / t.count, "max": t.maximum}
                for label, t in self._timings.items()
            }


class Measurement:
    """One timed ``with`` block."""

    __slots__ = ("_label", "_started", "_timings")

    def __init__(self, timings: Timings, label: str) -> None:
        self._timings = timings
        self._label = label
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._timings.record(self._label, time.perf_counter() - self._started)
