"""The executor's metrics and its shutdown."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from datarobot_drum.drum.exceptions import ExecutorShutdown, ServerOverloaded
from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure
from tests.cases import each_case
from tests.serving.execution.blocking_call import TIMEOUT, BlockingCall
from tests.serving.execution.executor_calls import Clock, SynchronousCaller, busy, counts, received_calls

CALLS_OF_A_THREAD = 200


# Metrics


def test_new_executor_has_zero_metrics() -> None:
    with ExecutorWithBackpressure(3, 7, TIMEOUT) as executor:
        metrics = executor.metrics()
    assert counts(executor, "workers", "max_queue", "pending", "queue_available") == (3, 7, 0, 10)
    names = ("running", "waiting", "completed", "failed", "rejected", "cancelled")
    assert [metrics[f"executor_{name}"] for name in names] == [0] * 6
    assert metrics["executor_wait_seconds"]["count"] == metrics["executor_run_seconds"]["count"] == 0


async def test_wait_and_run_times_are_recorded_separately() -> None:
    clock = Clock()
    with ExecutorWithBackpressure(1, 10, TIMEOUT, clock=clock) as executor:
        with busy(executor):
            submission = executor.submit(lambda: None)
            clock.now = 3.0
        await submission
        metrics = executor.metrics()
    assert {**metrics["executor_wait_seconds"]} | {"p50": 0, "p90": 0, "p99": 0} == {
        "count": 2,
        "sum": 3.0,
        "p50": 0,
        "p90": 0,
        "p99": 0,
        "max": 3.0,
    }
    assert (metrics["executor_run_seconds"]["count"], metrics["executor_run_seconds"]["sum"]) == (2, 3.0)


async def test_on_running_receives_number_of_running_calls() -> None:
    counts_seen: list[int] = []
    first, second = BlockingCall(), BlockingCall()
    with ExecutorWithBackpressure(2, 10, TIMEOUT) as executor:
        executor.on_running = counts_seen.append
        submissions = [executor.submit(first), executor.submit(second)]
        for work, submission in zip((first, second), submissions, strict=True):
            work.finish()
            await submission
        assert counts_seen == [1, 2, 1, 0]


async def test_metrics_are_consistent_under_concurrent_load() -> None:
    """Threads and tasks call and cancel while another thread reads the metrics."""
    over = threading.Event()
    broken: list[dict[str, Any]] = []
    with ExecutorWithBackpressure(3, 5, 0.002) as executor:
        watcher = threading.Thread(target=_watch, args=(executor, over, broken))
        threads = [threading.Thread(target=_call_often, args=(executor,)) for _ in range(4)]
        for thread in (watcher, *threads):
            thread.start()
        tasks = [asyncio.create_task(executor.run(sum, range(number))) for number in range(400)]
        for number, task in enumerate(tasks):
            await asyncio.sleep(0)
            if number % 3 == 0:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert executor.wait_idle(TIMEOUT)
        over.set()
        watcher.join()
        assert not broken
        assert counts(executor, "running", "waiting", "pending", "queue_available") == (0, 0, 0, 8)
        assert received_calls(executor) == len(tasks) + len(threads) * CALLS_OF_A_THREAD


def _call_often(executor: ExecutorWithBackpressure) -> None:
    for number in range(CALLS_OF_A_THREAD):
        with suppress(ServerOverloaded):
            executor.call(sum, range(number))


def _watch(executor: ExecutorWithBackpressure, over: threading.Event, broken: list[dict[str, Any]]) -> None:
    last = 0
    while not over.is_set():
        metrics = executor.metrics()
        seen = received_calls(executor)
        running, waiting, pending = (metrics[f"executor_{name}"] for name in ("running", "waiting", "pending"))
        adds_up = (
            0 <= running <= 3
            and (running == 3 or waiting == 0)
            and pending == running + min(waiting, 5)
            and pending + metrics["executor_queue_available"] == 8
            and metrics["executor_failed"] <= metrics["executor_completed"]
            and metrics["executor_run_seconds"]["count"] == metrics["executor_completed"]
            and metrics["executor_wait_seconds"]["count"] == metrics["executor_completed"] + running
            and last <= seen
        )
        last = seen
        if not adds_up:
            broken.append(metrics)


# Shutdown


def pool_threads(executor_name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(executor_name)]


@each_case("wait", [True, False], ids=["wait", "no-wait"])
async def test_shutdown_rejects_queued_calls_and_finishes_running_ones(wait: bool) -> None:
    executor = ExecutorWithBackpressure(1, 10, TIMEOUT, f"rejecting-{wait}")
    work, never = BlockingCall("done"), BlockingCall()
    running, waiting = executor.submit(work), executor.submit(never)
    caller = SynchronousCaller(executor, never)
    shut_down = _shut_down(executor, wait=wait, cancel_futures=True)
    with pytest.raises(ServerOverloaded):
        await waiting
    caller.join()
    assert isinstance(caller.error, ServerOverloaded)
    assert counts(executor, "running", "waiting", "rejected") == (1, 0, 2)
    await _assert_is_shut_down(executor)
    work.finish()
    assert await running == "done"
    assert shut_down() == (0 if wait else 1)
    _assert_threads_end(f"rejecting-{wait}")
    assert not never.has_started


@each_case("wait", [True, False], ids=["wait", "no-wait"])
async def test_shutdown_without_cancel_futures_runs_queued_calls(wait: bool) -> None:
    executor = ExecutorWithBackpressure(1, 10, TIMEOUT, f"keeping-{wait}")
    work, second, third = BlockingCall(), BlockingCall("second"), BlockingCall("third")
    running, waiting = executor.submit(work), executor.submit(second)
    caller = SynchronousCaller(executor, third)
    shut_down = _shut_down(executor, wait=wait, cancel_futures=False)
    for held in (work, second, third):
        held.finish()
    await running
    assert await waiting == "second"
    caller.join()
    assert caller.result == "third"
    assert shut_down() == (0 if wait else 3)
    _assert_threads_end(f"keeping-{wait}")
    await _assert_is_shut_down(executor)


def _shut_down(executor: ExecutorWithBackpressure, *, wait: bool, cancel_futures: bool) -> Callable[[], int]:
    """Shut down in a thread if that has to wait; what is returned tells how many calls were unfinished afterwards."""
    unfinished: list[int] = []

    def shutdown() -> None:
        executor.shutdown(wait, cancel_futures)
        unfinished.append(executor.running + executor.waiting)

    thread = threading.Thread(target=shutdown)
    thread.start()
    if not wait:
        thread.join()

    def result() -> int:
        thread.join()
        return unfinished[0]

    return result


async def _assert_is_shut_down(executor: ExecutorWithBackpressure) -> None:
    with pytest.raises(ExecutorShutdown):
        executor.call(BlockingCall())
    with pytest.raises(ExecutorShutdown):
        await executor.run(BlockingCall())


def _assert_threads_end(name: str) -> None:
    for thread in pool_threads(name):
        thread.join(TIMEOUT)
        assert not thread.is_alive()


@each_case("cancel_futures", [True, False], ids=["cancel", "keep"])
async def test_shutdown_of_idle_executor_ends_threads(cancel_futures: bool) -> None:
    executor = ExecutorWithBackpressure(2, 1, TIMEOUT, f"idle-{cancel_futures}")
    await executor.run(sum, [1, 1])
    executor.wait_idle()
    executor.shutdown(False, cancel_futures)
    _assert_threads_end(f"idle-{cancel_futures}")
    executor.shutdown()


async def test_call_during_shutdown_gets_outcome() -> None:
    """It is run or rejected; no call waits for ever, and no slot is lost."""
    for _ in range(200):
        executor = ExecutorWithBackpressure(1, 1, TIMEOUT)
        barrier = threading.Barrier(2)
        thread = threading.Thread(target=lambda e=executor, b=barrier: (b.wait(), e.shutdown(False)))
        thread.start()
        barrier.wait()
        outcomes = await asyncio.gather(*(executor.run(sum, [1, 1]) for _ in range(3)), return_exceptions=True)
        thread.join()
        assert all(outcome == 2 or isinstance(outcome, (ServerOverloaded, ExecutorShutdown)) for outcome in outcomes)
        assert counts(executor, "running", "waiting") == (0, 0)


def test_wait_idle_returns_false_after_timeout(executor: ExecutorWithBackpressure) -> None:
    with busy(executor):
        assert not executor.wait_idle(0.001)
    assert executor.wait_idle(0.001)
