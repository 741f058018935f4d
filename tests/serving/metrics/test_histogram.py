import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.serving.metrics.histogram import BOUNDS, Histogram

SECONDS = st.floats(0, 20_000)


def filled(durations: list[float]) -> Histogram:
    histogram = Histogram()
    for seconds in durations:
        histogram.record(seconds)
    return histogram


def test_empty_histogram_is_all_zero() -> None:
    assert Histogram().summary() == {"count": 0, "sum": 0, "p50": 0, "p90": 0, "p99": 0, "max": 0}


def test_bounds_cover_a_tenth_of_a_millisecond_to_an_hour() -> None:
    assert BOUNDS[0] == 1e-4
    assert 3600 < BOUNDS[-1] < 3600 * 1.25


@given(st.lists(SECONDS, min_size=1, max_size=50), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_percentile_is_at_most_a_quarter_too_large(durations: list[float], share: float) -> None:
    exact = sorted(durations)[math.ceil(share * len(durations)) - 1]
    estimated = filled(durations).percentile(share)
    assert exact <= estimated <= max(durations)
    assert estimated <= max(exact * 1.2500001, BOUNDS[0]) or exact > BOUNDS[-1]


@given(st.lists(SECONDS, max_size=50))
def test_count_sum_and_maximum_are_exact(durations: list[float]) -> None:
    summary = filled(durations).summary()
    assert summary["count"] == filled(durations).count == len(durations)
    assert summary["sum"] == pytest.approx(math.fsum(durations), abs=1e-5)
    assert summary["max"] == pytest.approx(max(durations, default=0), abs=1e-6)


@given(st.lists(SECONDS, min_size=1, max_size=50))
def test_percentiles_of_the_summary_are_ascending(durations: list[float]) -> None:
    summary = filled(durations).summary()
    assert summary["p50"] <= summary["p90"] <= summary["p99"] <= summary["max"]
