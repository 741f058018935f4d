"""Medians, percentiles and ratios."""

from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.compare.figures import percentile, ratios, summarize

times = st.lists(st.floats(1e-6, 1e3), min_size=1)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.501, 51), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_percentile_uses_nearest_rank(share: float, expected: int) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == expected


@given(times, st.floats(0.001, 1))
def test_percentile_is_the_smallest_value_that_covers_the_share(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values) + 1e-9


@given(times)
def test_summary_contains_median_minimum_and_maximum(values: list[float]) -> None:
    summary = summarize(values)
    assert (summary.minimum, summary.median, summary.maximum) == (min(values), median(values), max(values))


def test_ratios_are_taken_within_a_round() -> None:
    assert ratios({1: 10.0, 2: 30.0, 3: 5.0}, {1: 5.0, 2: 10.0}) == [2.0, 3.0]
    assert ratios({1: 10.0}, {1: 0.0}) == []


@pytest.mark.parametrize("compute", [lambda: percentile([], 0.5), lambda: summarize([])])
def test_empty_values_raise_value_error(compute: object) -> None:
    assert callable(compute)
    with pytest.raises(ValueError, match="No values"):
        compute()
