"""Medians, percentiles and ratios say what they are called."""

from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.compare.figures import percentile, ratios, summarize

times = st.lists(st.floats(1e-6, 1e3), min_size=1)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.501, 51), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_percentiles_of_one_to_hundred(share: float, expected: int) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == expected


@given(times, st.floats(0.001, 1))
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values) + 1e-9


@given(times)
def test_a_summary_holds_the_median_and_both_ends(values: list[float]) -> None:
    summary = summarize(values)
    assert (summary.least, summary.median, summary.most) == (min(values), median(values), max(values))


def test_ratios_are_taken_within_a_round() -> None:
    assert ratios({1: 10.0, 2: 30.0, 3: 5.0}, {1: 5.0, 2: 10.0}) == [2.0, 3.0]
    assert ratios({1: 10.0}, {1: 0.0}) == []


@pytest.mark.parametrize("compute", [lambda: percentile([], 0.5), lambda: summarize([])])
def test_nothing_cannot_be_summarized(compute: object) -> None:
    assert callable(compute)
    with pytest.raises(ValueError, match="No values"):
        compute()
