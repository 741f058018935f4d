"""Figures of several rounds as one: medians, percentiles, and ratios that are taken within a round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Summary:
    """A figure over all rounds: its median, and the least and the most that a round had."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of the values do not exceed (nearest rank); raises ValueError without any value."""
    if not values:
        raise ValueError("No values, no percentile.")
    rank = -(-len(values) * share // 1)
    return sorted(values)[max(int(rank), 1) - 1]


def summarize(values: Sequence[float]) -> Summary:
    """Raises ValueError without any value."""
    if not values:
        raise ValueError("No values, nothing to summarize.")
    return Summary(median(values), min(values), max(values))


def ratios(ours: Mapping[int, float], baseline: Mapping[int, float]) -> list[float]:
    """Round by round, ``ours`` over ``baseline``: what slows down a whole round leaves them as they are."""
    return [ours[number] / baseline[number] for number in sorted(ours) if baseline.get(number)]
