"""A histogram of durations in fixed memory; recording takes one bisection."""

from bisect import bisect_left
from itertools import accumulate

# From 0.1 ms to one hour; each bound is a quarter larger than the one before, so percentiles are exact to 25 %.
BOUNDS = tuple(1e-4 * 1.25**step for step in range(79))


class Histogram:
    """Counts durations in seconds. Calls of ``record`` must not overlap."""

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
        """Return the upper bound in seconds of the bucket at ``share`` (0 to 1) of the durations; 0.0 without any."""
        rank = share * self.count
        for index, count in enumerate(accumulate(self._counts)):
            if count and count >= rank:
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
