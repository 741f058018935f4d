"""An executor whose number of slots changes: exact slots, order, counts, and calls that need one another."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from datarobot_drum.drum.serving.execution.concurrency import AdaptiveConcurrency, FixedConcurrency, Usage
from datarobot_drum.drum.serving.execution.concurrency_limit import ConcurrencyLimit
from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure
from tests.cases import each_case
from tests.serving.execution.blocking_call import TIMEOUT, BlockingCall
from tests.serving.execution.executor_calls import Clock, Loop, counts

THREADS = 4


class ScriptedConcurrency(FixedConcurrency):
    """Slots that change at each sample as the test says; the last number holds."""

    is_sampled = True

    def __init__(self, *slots: int) -> None:
        super().__init__(slots[0])
        self._following = list(slots[1:])

    def sample(self, usage: Usage) -> None:
        if self._following:
            self.slots = self._following.pop(0)


@pytest.fixture
def narrow() -> Iterator[ExecutorWithBackpressure]:
    """An adaptive executor that has found that one call at a time is best."""
    limit = ConcurrencyLimit(THREADS, cores=2)
    limit.limit = 1
    with ExecutorWithBackpressure(THREADS, 100, TIMEOUT, concurrency=AdaptiveConcurrency(limit)) as executor:
        yield executor


async def test_calls_that_wait_for_one_another_finish(narrow: ExecutorWithBackpressure) -> None:
    barrier = threading.Barrier(THREADS, timeout=TIMEOUT)
    positions = await asyncio.gather(*(narrow.run(barrier.wait) for _ in range(THREADS)))
    assert sorted(positions) == list(range(THREADS))
    assert counts(narrow, "completed", "failed", "rejected", "running", "waiting") == (THREADS, 0, 0, 0, 0)


async def test_call_that_waits_for_nested_call_finishes(narrow: ExecutorWithBackpressure) -> None:
    loop = asyncio.get_running_loop()

    def call_own_server(depth: int) -> int:
        if depth == 0:
            return 0
        nested = asyncio.run_coroutine_threadsafe(narrow.run(call_own_server, depth - 1), loop)
        return nested.result(TIMEOUT) + 1

    assert await narrow.run(call_own_server, THREADS - 1) == THREADS - 1


async def test_long_computing_call_does_not_block_short_one(narrow: ExecutorWithBackpressure) -> None:
    ended = threading.Event()

    def compute() -> int:
        number = 0
        while not ended.is_set():
            number += 1
        return number

    long_call = narrow.submit(compute)
    await narrow.run(ended.set)
    assert await long_call > 0


async def test_stream_that_waits_for_another_call_continues(narrow: ExecutorWithBackpressure) -> None:
    """Whatever holds a slot without CPU time, such as a stream for a slow client, makes room for the next call."""
    work = BlockingCall()
    held = [narrow.submit(work) for _ in range(THREADS - 1)]
    await narrow.run(work.finish)
    await asyncio.gather(*held)


@each_case("cancel_futures", [True, False])
async def test_shutdown_with_one_slot_finishes(cancel_futures: bool) -> None:
    limit = ConcurrencyLimit(THREADS, cores=2)
    limit.limit = 1
    executor = ExecutorWithBackpressure(THREADS, 100, TIMEOUT, concurrency=AdaptiveConcurrency(limit))
    work = BlockingCall()
    calls = [executor.submit(work) for _ in range(20)]
    executor.shutdown(wait=False, cancel_futures=cancel_futures)
    work.finish()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert executor.wait_idle(TIMEOUT)
    completed, rejected = counts(executor, "completed", "rejected")
    assert completed + rejected == len(results)
    assert bool(rejected) == cancel_futures


def test_slots_follow_samples_exactly_and_in_order() -> None:
    clock = Clock()
    loop = Loop(clock)
    executor = ExecutorWithBackpressure(THREADS, 100, 1000.0, concurrency=ScriptedConcurrency(2, 4, 1, 3), clock=clock)
    starts: list[int] = []
    works = [BlockingCall(number, lambda number=number: starts.append(number)) for number in range(12)]  # type: ignore[misc]

    async def submit_all() -> list["asyncio.Future[object]"]:
        return [executor.submit(work).future for work in works]

    def advance() -> None:
        clock.now += 1.0
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(asyncio.sleep(0))

    def finish(number: int) -> None:
        works[number].finish()
        loop.run_until_complete(futures[number])

    def check(slots: int, running: int, started: int) -> None:
        for work in works[:started]:
            work.wait_started()
        assert starts == list(range(started))
        assert counts(executor, "concurrency", "running", "waiting") == (slots, running, 12 - started)

    futures = loop.run_until_complete(submit_all())
    check(slots=2, running=2, started=2)
    advance()
    check(slots=4, running=4, started=4)
    finish(0)
    check(slots=4, running=4, started=5)
    advance()
    for number in (1, 2, 3):
        finish(number)
    check(slots=1, running=1, started=5)
    finish(4)
    check(slots=1, running=1, started=6)
    advance()
    check(slots=3, running=3, started=8)
    for number in range(5, 12):
        finish(number)
    assert counts(executor, "completed", "running", "waiting") == (12, 0, 0)
    executor.shutdown()
    loop.close()


async def test_counts_are_exact_while_slots_adapt() -> None:
    limit = ConcurrencyLimit(THREADS, cores=2)
    running, most = [0], [0]
    lock = threading.Lock()

    def work(number: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        total = sum(range(20_000))
        with lock:
            running[0] -= 1
        return number + total * 0

    with ExecutorWithBackpressure(THREADS, 100, TIMEOUT, concurrency=AdaptiveConcurrency(limit)) as executor:
        assert await asyncio.gather(*(executor.run(work, number) for number in range(1000))) == list(range(1000))
        assert counts(executor, "completed", "failed", "rejected", "running") == (1000, 0, 0, 0)
        assert executor.metrics()["executor_concurrency_mode"] == "auto"
    assert 1 <= most[0] <= THREADS


def test_executor_is_fixed_by_default() -> None:
    with ExecutorWithBackpressure(3) as executor:
        assert counts(executor, "concurrency", "concurrency_mode") == (3, "fixed")
