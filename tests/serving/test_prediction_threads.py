"""The pool of threads that predictions run in; what it does under an executor is tested there."""

import os
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from datarobot_drum.drum.serving.execution.prediction_threads import PredictionThreads
from tests.serving.execution.blocking_call import PATIENCE

Later = list[Callable[[], None]]


@pytest.fixture
def threads() -> Iterator[PredictionThreads]:
    pool = PredictionThreads(2, "test")
    yield pool
    pool.shutdown()


def warm_up(threads: PredictionThreads) -> None:
    """Have a thread that sleeps."""
    ran = threading.Event()
    threads.submit(ran.set)
    assert ran.wait(PATIENCE)
    while threads.busy:
        pass


@pytest.mark.parametrize("warm", [True, False])
def test_what_is_submitted_until_the_wake_wakes_one_thread_once(threads: PredictionThreads, warm: bool) -> None:
    if warm:
        warm_up(threads)
    later: Later = []
    ran = [threading.Event() for _ in range(5)]
    for event in ran:
        threads.submit(event.set, soon=later.append)
    assert len(later) == 1 and not any(event.is_set() for event in ran)
    later[0]()
    assert all(event.wait(PATIENCE) for event in ran)


@pytest.mark.parametrize("warm", [True, False])
def test_a_wake_that_was_overtaken_does_nothing(threads: PredictionThreads, warm: bool) -> None:
    if warm:
        warm_up(threads)
    later: Later = []
    ran = threading.Event()
    threads.submit(ran.set, soon=later.append)
    threads.shutdown(wait=True)
    assert ran.is_set()
    later[0]()


def test_nothing_runs_after_the_shutdown(threads: PredictionThreads) -> None:
    threads.shutdown()
    with pytest.raises(RuntimeError):
        threads.submit(lambda: None)


def test_an_error_ends_no_thread(threads: PredictionThreads) -> None:
    def fail() -> None:
        raise ValueError("no such thing")

    ran = threading.Event()
    threads.submit(fail)
    threads.submit(ran.set)
    assert ran.wait(PATIENCE)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the policy")
def test_a_thread_that_wakes_pushes_nobody_aside(threads: PredictionThreads) -> None:
    policies: list[int] = []
    ran = threading.Event()

    def look() -> None:
        policies.append(os.sched_getscheduler(0))
        ran.set()

    threads.submit(look)
    assert ran.wait(PATIENCE)
    assert policies == [os.SCHED_BATCH] and os.sched_getscheduler(0) == os.SCHED_OTHER
