"""How long the steps of a prediction take, for ``time_info`` of ``/stats/``."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class _Timing:
    count: int = 0
    total: float = 0.0
    minimum: float = float("inf")
    maximum: float = 0.0


class Timings:
    """Minimum, average and maximum in seconds by label."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._timings: dict[str, _Timing] = {}

    @contextmanager
    def measure(self, label: str) -> Iterator[None]:
        """Record the time of the ``with`` block under ``label``, unless it raises."""
        begin = time.perf_counter()
        yield
        self.record(label, time.perf_counter() - begin)

    def record(self, label: str, seconds: float) -> None:
        with self._lock:
            timing = self._timings.setdefault(label, _Timing())
            timing.count += 1
            timing.total += seconds
            timing.minimum = min(timing.minimum, seconds)
            timing.maximum = max(timing.maximum, seconds)

    def summary(self) -> dict[str, dict[str, float]]:
        with self._lock:
            return {
                label: {"min": t.minimum, "avg": t.total / t.count, "max": t.maximum}
                for label, t in self._timings.items()
            }
