"""Counts of batches by their size, for ``/stats/``."""

from collections import Counter
from typing import Any


class BatchStatistics:
    """Counts of batches by their number of calls. The owner serialises all methods."""

    def __init__(self) -> None:
        self._batches = self._calls = self._largest = self._running_calls = 0
        self._sizes: Counter[int] = Counter()

    def start_batch(self, calls: int) -> None:
        self._batches += 1
        self._calls += calls
        self._largest = max(self._largest, calls)
        self._running_calls += calls
        self._sizes[(calls - 1).bit_length()] += 1

    def finish_call(self) -> None:
        self._running_calls -= 1

    def summary(self) -> dict[str, Any]:
        """Return the counts; ``sizes`` has those of batches of 1, 2, 3 to 4, 5 to 8 ... calls."""
        return {
            "batches": self._batches,
            "calls": self._calls,
            "running_calls": self._running_calls,
            "mean": round(self._calls / self._batches, 3) if self._batches else 0.0,
            "max": self._largest,
            "sizes": {_range(bits): count for bits, count in sorted(self._sizes.items())},
        }


def _range(bits: int) -> str:
    first, last = (1 << bits >> 1) + 1, 1 << bits
    return str(last) if bits < 2 else f"{first}-{last}"
