import asyncio
import gc
import logging
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from datarobot_drum.drum.exceptions import CustomHTTPError, ServerOverloaded
from datarobot_drum.drum.serving.executor import ExecutorWithBackpressure
from tests.serving.held_work import PATIENCE, HeldWork
from tests.serving.synchronous_caller import SynchronousCaller, seen_calls

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def executor() -> Iterator[ExecutorWithBackpressure]:
    """One thread, so whoever comes second waits."""
    with ExecutorWithBackpressure(1, 10, PATIENCE) as executor:
        yield executor


@contextmanager
def busy(executor: ExecutorWithBackpressure) -> Iterator[HeldWork]:
    """The executor's one slot is taken until the block ends."""
    work = HeldWork()
    caller = SynchronousCaller(executor, work)
    work.wait_started()
    try:
        yield work
    finally:
        work.finish()
        caller.wait_ended()


def counts(executor: ExecutorWithBackpressure, *names: str) -> tuple[Any, ...]:
    metrics = executor.metrics()
    return tuple(metrics[f"executor_{name}"] for name in names)


# Admission


async def test_at_most_max_workers_calls_run_at_once() -> None:
    works = [HeldWork(number) for number in range(5)]
    with ExecutorWithBackpressure(2, 10, PATIENCE) as executor:
        submissions = [executor.submit(work) for work in works]
        for work in works[:2]:
            work.wait_started()
        assert counts(executor, "running", "waiting") == (2, 3)
        assert [work.has_started for work in works[2:]] == [False] * 3
        for work in works:
            work.finish()
        assert await asyncio.gather(*submissions) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("synchronous", [False, True], ids=["run", "call"])
async def test_who_came_first_starts_first(executor: ExecutorWithBackpressure, synchronous: bool) -> None:
    starts: list[int] = []
    callers = []
    with busy(executor):
        for number in range(5):
            work = HeldWork(on_start=lambda number=number: starts.append(number))  # type: ignore[misc]
            work.finish()
            submit = SynchronousCaller if synchronous else ExecutorWithBackpressure.submit
            callers.append(submit(executor, work))
    executor.wait_idle()
    for caller in callers:
        caller.wait_ended() if isinstance(caller, SynchronousCaller) else await caller
    assert starts == [0, 1, 2, 3, 4]


async def test_both_kinds_of_callers_stand_in_one_line(executor: ExecutorWithBackpressure) -> None:
    first, second, third = HeldWork(), HeldWork(), HeldWork()
    with busy(executor):
        submissions = [executor.submit(first)]
        caller = SynchronousCaller(executor, second)
        submissions.append(executor.submit(third))
        assert counts(executor, "running", "waiting") == (1, 3)
    for work, next_one in ((first, second), (second, third)):
        work.wait_started()
        assert not next_one.has_started
        work.finish()
    third.finish()
    caller.wait_ended()
    await asyncio.gather(*submissions)


async def test_who_is_not_admitted_waits_too() -> None:
    with ExecutorWithBackpressure(1, 1, PATIENCE) as executor:
        with busy(executor):
            submissions = [executor.submit(lambda number: number, number) for number in range(4)]
            assert all(submission.waiting for submission in submissions)
            assert counts(executor, "pending", "queue_available", "waiting") == (2, 0, 4)
        assert await asyncio.gather(*submissions) == [0, 1, 2, 3]


async def test_work_of_the_loop_runs_on_a_thread_of_the_pool(executor: ExecutorWithBackpressure) -> None:
    thread = await executor.run(threading.current_thread)
    assert thread.name.startswith("drum-predict")


def test_synchronous_work_runs_in_the_thread_that_brings_it(executor: ExecutorWithBackpressure) -> None:
    assert executor.call(threading.current_thread) is threading.current_thread()


def add(one: int, *, other: int) -> int:
    return one + other


async def test_arguments_reach_the_work(executor: ExecutorWithBackpressure) -> None:
    assert await executor.run(add, 1, other=2) == 3
    assert await executor.submit(add, 3, other=4) == 7
    assert executor.call(add, 5, other=6) == 11


# Deadlines


async def test_who_has_not_started_by_the_deadline_is_refused_and_never_runs() -> None:
    late = HeldWork()
    with ExecutorWithBackpressure(1, 10, 0.01) as executor:
        with busy(executor):
            with pytest.raises(ServerOverloaded):
                await executor.run(late)
            with pytest.raises(ServerOverloaded):
                executor.call(late)
            assert counts(executor, "running", "waiting", "rejected") == (1, 0, 2)
        executor.wait_idle()
        assert not late.has_started


async def test_the_deadline_holds_while_the_event_loop_is_too_busy_to_notice() -> None:
    clock, late = Clock(), HeldWork()
    with ExecutorWithBackpressure(1, 10, PATIENCE, clock=clock) as executor:
        with busy(executor):
            submission = executor.submit(late)
            clock.now = PATIENCE + 1
        executor.wait_idle()
        with pytest.raises(ServerOverloaded):
            await submission
        assert not late.has_started and not submission.started
        assert counts(executor, "completed", "rejected") == (1, 1)


async def test_a_late_call_does_not_hold_up_the_one_behind_it() -> None:
    clock, late = Clock(), HeldWork()
    with ExecutorWithBackpressure(1, 10, PATIENCE, clock=clock) as executor:
        with busy(executor):
            early = SynchronousCaller(executor, late)
            clock.now = PATIENCE / 2
            in_time = executor.submit(lambda: "in time")
            clock.now = PATIENCE + 1
        assert await in_time == "in time"
        early.wait_ended()
        assert isinstance(early.error, ServerOverloaded) and not late.has_started


async def test_without_a_queue_timeout_only_a_free_thread_admits() -> None:
    with ExecutorWithBackpressure(1, 10, 0) as executor:
        with busy(executor):
            with pytest.raises(ServerOverloaded):
                executor.call(HeldWork())
            with pytest.raises(ServerOverloaded):
                await executor.run(HeldWork())
        assert executor.call(add, 1, other=1) == 2
        assert await executor.run(add, 1, other=2) == 3


async def test_a_flood_of_refusals_is_logged_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with ExecutorWithBackpressure(1, 10, 0.001, clock=clock) as executor, busy(executor):
        for now in (0.0, 0.5, 0.9, 1.1):
            clock.now = now
            with pytest.raises(ServerOverloaded):
                await executor.run(HeldWork())
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "Overloaded" in caplog.text


# Leaving


async def test_the_slot_belongs_to_the_work_when_its_caller_leaves(executor: ExecutorWithBackpressure) -> None:
    work, following = HeldWork(), HeldWork()
    task = asyncio.create_task(executor.run(work))
    await asyncio.sleep(0)
    work.wait_started()
    submission = executor.submit(following)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert counts(executor, "running", "waiting", "cancelled") == (1, 1, 0)
    assert not following.has_started
    work.finish()
    following.finish()
    await submission
    assert counts(executor, "running", "completed", "failed") == (0, 2, 0)


async def test_who_leaves_the_line_frees_its_place_and_never_runs(executor: ExecutorWithBackpressure) -> None:
    work = HeldWork()
    with busy(executor):
        task = asyncio.create_task(executor.run(work))
        await asyncio.sleep(0)
        assert executor.waiting == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert counts(executor, "waiting", "cancelled") == (0, 1)
    executor.wait_idle()
    assert not work.has_started


async def test_a_submission_tells_where_its_call_is(executor: ExecutorWithBackpressure) -> None:
    work, other = HeldWork(), HeldWork()
    running, waiting = executor.submit(work), executor.submit(other)
    assert (running.waiting, running.started) == (False, True)
    assert (waiting.waiting, waiting.started) == (True, False)
    waiting.leave()
    assert (waiting.waiting, waiting.started) == (False, False)
    work.finish()
    await running
    assert (running.waiting, running.started) == (False, True)


async def test_leaving_twice_or_after_the_end_changes_nothing(executor: ExecutorWithBackpressure) -> None:
    with busy(executor):
        submission = executor.submit(HeldWork())
        submission.leave()
        submission.leave()
    ended = executor.submit(add, 1, other=1)
    await ended
    ended.leave()
    assert counts(executor, "completed", "cancelled") == (2, 1)
    assert await ended == 2


async def test_the_outcome_of_work_that_was_left_is_dropped_in_silence(
    executor: ExecutorWithBackpressure, caplog: pytest.LogCaptureFixture
) -> None:
    work = HeldWork()
    submission = executor.submit(work)
    submission.leave()
    work.fail(ValueError("nobody hears this"))
    executor.wait_idle()
    await asyncio.sleep(0)
    del submission
    gc.collect()
    assert not caplog.records
    assert counts(executor, "completed", "failed") == (1, 1)


def test_a_thread_whose_wait_is_interrupted_gives_up_its_place(executor: ExecutorWithBackpressure) -> None:
    def interrupt() -> None:
        while seen_calls(executor) < 2:
            pass
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    former = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    interrupter = threading.Thread(target=interrupt)
    try:
        with busy(executor):
            interrupter.start()
            with pytest.raises(KeyboardInterrupt):
                executor.call(HeldWork())
            assert counts(executor, "waiting", "cancelled") == (0, 1)
    finally:
        interrupter.join()
        signal.signal(signal.SIGUSR1, former)
    assert executor.call(add, 1, other=1) == 2


def test_work_that_ends_after_its_event_loop_does_gives_its_slot_back(executor: ExecutorWithBackpressure) -> None:
    async def submit_and_go(work: HeldWork) -> None:
        executor.submit(work)

    work = HeldWork()
    asyncio.run(submit_and_go(work))
    work.finish()
    assert executor.wait_idle(PATIENCE)
    assert counts(executor, "running", "completed") == (0, 1)


# What reaches whom


async def test_context_variables_reach_the_work(executor: ExecutorWithBackpressure) -> None:
    token = tenant.set("blue")
    with busy(executor):
        submission = executor.submit(tenant.get)
        tenant.reset(token)
    assert await submission == "blue"
    assert await executor.run(tenant.get) == "nobody"


async def test_context_variables_set_by_the_work_stay_there(executor: ExecutorWithBackpressure) -> None:
    await executor.run(tenant.set, "red")
    assert tenant.get() == "nobody"
    assert await executor.run(tenant.get) == "nobody"


def raise_it(error: BaseException) -> None:
    raise error


ERRORS = [
    ValueError("odd"),
    TimeoutError(),
    asyncio.CancelledError("of the work"),
    CustomHTTPError("teapot", 418),
    ServerOverloaded(),
    GeneratorExit(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_exception_reaches_the_caller_unchanged(
    executor: ExecutorWithBackpressure, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught:
        executor.call(raise_it, error)
    assert caught.value is error
    with pytest.raises(type(error)) as caught:
        await executor.submit(raise_it, error).future
    assert caught.value is error or isinstance(error, asyncio.CancelledError)
    assert counts(executor, "completed", "failed", "running") == (2, 2, 0)


async def test_stop_iteration_cannot_pass_an_event_loop(executor: ExecutorWithBackpressure) -> None:
    error = StopIteration("end")
    with pytest.raises(StopIteration) as caught:
        executor.call(raise_it, error)
    assert caught.value is error
    with pytest.raises(RuntimeError) as translated:
        await executor.run(raise_it, error)
    assert translated.value.__cause__ is error


class Data:
    """Stands for a request or a table."""


@pytest.mark.parametrize("fails", [False, True], ids=["result", "error"])
async def test_the_data_of_a_call_goes_with_it(executor: ExecutorWithBackpressure, fails: bool) -> None:
    """Without a cycle that would leave it to the garbage collector."""
    seen: list[weakref.ref[Data]] = []

    def work(argument: Data) -> None:
        local = Data()
        seen.extend([weakref.ref(argument), weakref.ref(local)])
        if fails:
            raise ValueError

    gc.disable()
    try:
        try:
            await executor.run(work, Data())
        except ValueError:
            pass
        executor.shutdown()
        await asyncio.sleep(0)  # the loop itself holds what it is just delivering
        assert [reference() for reference in seen] == [None, None]
    finally:
        gc.enable()


async def test_the_data_of_a_call_that_leaves_the_line_goes_at_once(executor: ExecutorWithBackpressure) -> None:
    data = Data()
    reference = weakref.ref(data)
    gc.disable()
    try:
        with busy(executor):
            submission = executor.submit(id, data)
            submission.leave()
            await asyncio.sleep(0)
            del submission, data
            assert reference() is None
    finally:
        gc.enable()


# Metrics


def test_metrics_of_a_new_executor() -> None:
    with ExecutorWithBackpressure(3, 7, PATIENCE) as executor:
        metrics = executor.metrics()
    assert counts(executor, "workers", "max_queue", "pending", "queue_available") == (3, 7, 0, 10)
    names = ("running", "waiting", "completed", "failed", "rejected", "cancelled")
    assert [metrics[f"executor_{name}"] for name in names] == [0] * 6
    assert metrics["executor_wait_seconds"]["count"] == metrics["executor_run_seconds"]["count"] == 0


async def test_wait_and_run_times_are_counted_apart() -> None:
    clock = Clock()
    with ExecutorWithBackpressure(1, 10, PATIENCE, clock=clock) as executor:
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


async def test_metrics_add_up_at_every_moment_of_a_storm() -> None:
    """Threads and tasks come and leave at random while another thread watches."""
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
        assert executor.wait_idle(PATIENCE)
        over.set()
        watcher.join()
        assert not broken
        assert counts(executor, "running", "waiting", "pending", "queue_available") == (0, 0, 0, 8)
        never_submitted = sum(task.cancelled() for task in tasks) - executor.metrics()["executor_cancelled"]
        assert 400 + 4 * 200 - never_submitted <= seen_calls(executor) <= 400 + 4 * 200


def _call_often(executor: ExecutorWithBackpressure) -> None:
    for number in range(200):
        try:
            executor.call(sum, range(number))
        except ServerOverloaded:
            continue


def _watch(executor: ExecutorWithBackpressure, over: threading.Event, broken: list[dict[str, Any]]) -> None:
    last = 0
    while not over.is_set():
        metrics = executor.metrics()
        seen = seen_calls(executor)
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


@pytest.mark.parametrize("wait", [True, False], ids=["wait", "no-wait"])
async def test_shutdown_refuses_who_waits_and_lets_finish_what_runs(wait: bool) -> None:
    executor = ExecutorWithBackpressure(1, 10, PATIENCE, f"refusing-{wait}")
    work, never = HeldWork("done"), HeldWork()
    running, waiting = executor.submit(work), executor.submit(never)
    caller = SynchronousCaller(executor, never)
    shut_down = _shut_down(executor, wait=wait, cancel_futures=True)
    with pytest.raises(ServerOverloaded):
        await waiting
    caller.wait_ended()
    assert isinstance(caller.error, ServerOverloaded)
    assert counts(executor, "running", "waiting", "rejected") == (1, 0, 2)
    await _assert_refuses(executor)
    work.finish()
    assert await running == "done"
    assert shut_down() == (0 if wait else 1)
    _assert_threads_end(f"refusing-{wait}")
    assert not never.has_started


@pytest.mark.parametrize("wait", [True, False], ids=["wait", "no-wait"])
async def test_shutdown_can_let_those_run_that_wait(wait: bool) -> None:
    executor = ExecutorWithBackpressure(1, 10, PATIENCE, f"patient-{wait}")
    work, second, third = HeldWork(), HeldWork("second"), HeldWork("third")
    running, waiting = executor.submit(work), executor.submit(second)
    caller = SynchronousCaller(executor, third)
    shut_down = _shut_down(executor, wait=wait, cancel_futures=False)
    for held in (work, second, third):
        held.finish()
    await running
    assert await waiting == "second"
    caller.wait_ended()
    assert caller.result == "third"
    assert shut_down() == (0 if wait else 3)
    _assert_threads_end(f"patient-{wait}")
    await _assert_refuses(executor)


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


async def _assert_refuses(executor: ExecutorWithBackpressure) -> None:
    with pytest.raises(ServerOverloaded):
        executor.call(HeldWork())
    with pytest.raises(ServerOverloaded):
        await executor.run(HeldWork())


def _assert_threads_end(name: str) -> None:
    for thread in pool_threads(name):
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize("cancel_futures", [True, False], ids=["cancel", "keep"])
async def test_an_idle_executor_lets_its_threads_go(cancel_futures: bool) -> None:
    executor = ExecutorWithBackpressure(2, 1, PATIENCE, f"idle-{cancel_futures}")
    await executor.run(add, 1, other=1)
    executor.wait_idle()
    executor.shutdown(False, cancel_futures)
    _assert_threads_end(f"idle-{cancel_futures}")
    executor.shutdown()


async def test_a_call_that_comes_during_shutdown_gets_its_answer() -> None:
    """Whether it is still run or refused: nobody waits for ever, and no slot is lost."""
    for _ in range(200):
        executor = ExecutorWithBackpressure(1, 1, PATIENCE)
        barrier = threading.Barrier(2)
        thread = threading.Thread(target=lambda e=executor, b=barrier: (b.wait(), e.shutdown(False)))  # type: ignore[misc]
        thread.start()
        barrier.wait()
        outcomes = await asyncio.gather(*(executor.run(add, 1, other=1) for _ in range(3)), return_exceptions=True)
        thread.join()
        assert all(outcome == 2 or isinstance(outcome, ServerOverloaded) for outcome in outcomes)
        assert counts(executor, "running", "waiting") == (0, 0)


def test_waiting_until_nothing_runs_can_be_given_up(executor: ExecutorWithBackpressure) -> None:
    with busy(executor):
        assert not executor.wait_idle(0.001)
    assert executor.wait_idle(0.001)
