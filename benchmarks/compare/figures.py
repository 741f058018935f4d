"""Statistics over rounds: medians, percentiles, and ratios within a round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Summary:
    """A figure over all rounds: its median, minimum and maximum."""

    median: float
    minimum: float
    maximum: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.minimum:.2f} to {self.maximum:.2f})"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of the values do not exceed (nearest rank); raises ValueError without values."""
    if not values:
        raise ValueError("No values, no percentile.")
    rank = -(-len(values) * share // 1)
    return sorted(values)[max(int(rank), 1) - 1]


def summarize(values: Sequence[float]) -> Summary:
    """Summarize the values; raises ValueError without values."""
    if not values:
        raise ValueError("No values, nothing to summarize.")
    return Summary(median(values), min(values), max(values))


def ratios(ours: Mapping[int, float], baseline: Mapping[int, float]) -> list[float]:
    """Divide ``ours`` by ``baseline`` round by round: a slow round does not change the ratios."""
    return [ours[number] / baseline[number] for number in sorted(ours) if baseline.get(number)]
