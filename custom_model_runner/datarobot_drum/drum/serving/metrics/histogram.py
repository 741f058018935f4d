"""A histogram of durations that costs one bisection to record and no memory to keep."""

from bisect import bisect_left
from itertools import accumulate

# A tenth of a millisecond to an hour, each bound a quarter larger than the one before: percentiles are right to 25 %.
BOUNDS = tuple(1e-4 * 1.25**step for step in range(79))


class Histogram:
    """Counts durations in seconds. The owner serialises ``record``."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self._total = 0.0
        self._maximum = 0.0

    def record(self, seconds: float) -> None:
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._total += seconds
        if seconds > self._maximum:
            self._maximum = seconds

    @property
    def count(self) -> int:
        return sum(self._counts)

    def percentile(self, share: float) -> float:
        """Upper bound, in seconds, of the bucket that holds ``share`` (0 to 1) of what was recorded; 0.0 for none."""
        wanted = share * self.count
        for index, seen in enumerate(accumulate(self._counts)):
            if seen and seen >= wanted:
                return min(BOUNDS[index], self._maximum) if index < len(BOUNDS) else self._maximum
        return 0.0

    def summary(self) -> dict[str, float | int]:
        return {
            "count": self.count,
            "sum": round(self._total, 6),
            "p50": round(self.percentile(0.5), 6),
            "p90": round(self.percentile(0.9), 6),
            "p99": round(self.percentile(0.99), 6),
            "max": round(self._maximum, 6),
        }
