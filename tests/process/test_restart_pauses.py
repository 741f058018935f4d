"""Pauses before workers are restarted, and the end of a crash loop."""

import pytest

from datarobot_drum.drum.uvicorn.restart_pauses import HEALTHY_SECONDS, MAX_FAILURES, RestartPauses


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pauses(clock: Clock) -> RestartPauses:
    return RestartPauses(clock)


def fail(pauses: RestartPauses, clock: Clock, times: int, *, oldest: float = 0.1) -> list[float]:
    """Let workers fail one after the other; return the pauses."""
    found = []
    for _ in range(times):
        pauses.count_end(0.1, failed=True, oldest=oldest)
        found.append(pauses.seconds_left)
        clock.now += pauses.seconds_left
    return found


def test_pauses_grow_until_the_crash_loop_ends(pauses: RestartPauses, clock: Clock) -> None:
    assert fail(pauses, clock, MAX_FAILURES - 1) == [1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert not pauses.is_crash_loop
    fail(pauses, clock, 1)
    assert pauses.is_crash_loop


def test_workers_that_end_together_are_one_failure(pauses: RestartPauses) -> None:
    for _ in range(MAX_FAILURES):
        pauses.count_end(0.1, failed=True, oldest=0.1)
    assert (pauses.is_crash_loop, pauses.seconds_left) == (False, 1)


def test_minute_of_health_resets_the_pauses(pauses: RestartPauses, clock: Clock) -> None:
    fail(pauses, clock, MAX_FAILURES - 1)
    pauses.count_end(HEALTHY_SECONDS, failed=True, oldest=HEALTHY_SECONDS)
    assert pauses.seconds_left == 0
    assert fail(pauses, clock, 2) == [1, 2]


def test_healthy_worker_beside_the_failing_ones_keeps_the_server(pauses: RestartPauses, clock: Clock) -> None:
    assert fail(pauses, clock, 2 * MAX_FAILURES, oldest=HEALTHY_SECONDS) == [1] * 2 * MAX_FAILURES
    assert not pauses.is_crash_loop


def test_early_end_in_order_is_no_failure(pauses: RestartPauses, clock: Clock) -> None:
    for _ in range(2 * MAX_FAILURES):
        pauses.count_end(0.1, failed=False, oldest=0.1)
        assert pauses.seconds_left == 1
        clock.now += 1
    assert not pauses.is_crash_loop
