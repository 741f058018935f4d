import asyncio
import gc
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from functools import partial
from types import FrameType

import pytest

from datarobot_drum.drum.exceptions import CustomHTTPError, DeadlineExceeded, ServerOverloaded
from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure
from tests.serving.execution.blocking_call import TIMEOUT, BlockingCall, wait_until
from tests.serving.execution.executor_calls import Clock, SynchronousCaller, busy, counts, received_calls

tenant: ContextVar[str] = ContextVar("tenant", default="none")


# Admission


async def test_executor_runs_at_most_max_workers_calls() -> None:
    works = [BlockingCall(number) for number in range(5)]
    with ExecutorWithBackpressure(2, 10, TIMEOUT) as executor:
        submissions = [executor.submit(work) for work in works]
        for work in works[:2]:
            work.wait_started()
        assert counts(executor, "running", "waiting") == (2, 3)
        assert [work.has_started for work in works[2:]] == [False] * 3
        for work in works:
            work.finish()
        assert await asyncio.gather(*submissions) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("synchronous", [False, True], ids=["run", "call"])
async def test_calls_start_in_order_of_arrival(executor: ExecutorWithBackpressure, synchronous: bool) -> None:
    starts: list[int] = []
    callers = []
    with busy(executor):
        for number in range(5):
            work = BlockingCall(on_start=lambda number=number: starts.append(number))  # type: ignore[misc]
            work.finish()
            submit = SynchronousCaller if synchronous else ExecutorWithBackpressure.submit
            callers.append(submit(executor, work))
    executor.wait_idle()
    for caller in callers:
        caller.join() if isinstance(caller, SynchronousCaller) else await caller
    assert starts == [0, 1, 2, 3, 4]


async def test_both_kinds_of_callers_share_one_queue(executor: ExecutorWithBackpressure) -> None:
    first, second, third = BlockingCall(), BlockingCall(), BlockingCall()
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
    caller.join()
    await asyncio.gather(*submissions)


async def test_calls_beyond_queue_depth_wait_too() -> None:
    with ExecutorWithBackpressure(1, 1, TIMEOUT) as executor:
        with busy(executor):
            submissions = [executor.submit(lambda number: number, number) for number in range(4)]
            assert all(submission.is_queued for submission in submissions)
            assert counts(executor, "pending", "queue_available", "waiting") == (2, 0, 4)
        assert await asyncio.gather(*submissions) == [0, 1, 2, 3]


async def test_run_uses_pool_thread(executor: ExecutorWithBackpressure) -> None:
    thread = await executor.run(threading.current_thread)
    assert thread.name.startswith("drum-predict")


def test_call_uses_calling_thread(executor: ExecutorWithBackpressure) -> None:
    assert executor.call(threading.current_thread) is threading.current_thread()


def add(one: int, *, other: int) -> int:
    return one + other


async def test_arguments_reach_function(executor: ExecutorWithBackpressure) -> None:
    assert await executor.run(add, 1, other=2) == 3
    assert await executor.submit(add, 3, other=4) == 7
    assert executor.call(add, 5, other=6) == 11


# Deadlines


async def test_call_past_deadline_is_rejected_and_never_runs() -> None:
    late = BlockingCall()
    with ExecutorWithBackpressure(1, 10, 0.01) as executor:
        with busy(executor):
            with pytest.raises(ServerOverloaded):
                await executor.run(late)
            with pytest.raises(ServerOverloaded):
                executor.call(late)
            assert counts(executor, "running", "waiting", "rejected") == (1, 0, 2)
        executor.wait_idle()
        assert not late.has_started


async def test_deadline_holds_while_event_loop_is_blocked() -> None:
    clock, late = Clock(), BlockingCall()
    with ExecutorWithBackpressure(1, 10, TIMEOUT, clock=clock) as executor:
        with busy(executor):
            submission = executor.submit(late)
            clock.now = TIMEOUT + 1
        executor.wait_idle()
        with pytest.raises(ServerOverloaded):
            await submission
        assert not late.has_started and not submission.has_started
        assert counts(executor, "completed", "rejected") == (1, 1)


async def test_expired_call_does_not_delay_next_call() -> None:
    clock, late = Clock(), BlockingCall()
    with ExecutorWithBackpressure(1, 10, TIMEOUT, clock=clock) as executor:
        with busy(executor):
            early = SynchronousCaller(executor, late)
            clock.now = TIMEOUT / 2
            in_time = executor.submit(lambda: "in time")
            clock.now = TIMEOUT + 1
        assert await in_time == "in time"
        early.join()
        assert isinstance(early.error, ServerOverloaded) and not late.has_started


async def test_zero_queue_timeout_rejects_without_free_thread() -> None:
    with ExecutorWithBackpressure(1, 10, 0) as executor:
        with busy(executor):
            with pytest.raises(ServerOverloaded):
                executor.call(BlockingCall())
            with pytest.raises(ServerOverloaded):
                await executor.run(BlockingCall())
        assert executor.call(add, 1, other=1) == 2
        assert await executor.run(add, 1, other=2) == 3


async def test_rejections_are_logged_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with ExecutorWithBackpressure(1, 10, 0.001, clock=clock) as executor, busy(executor):
        for now in (0.0, 0.5, 0.9, 1.1):
            clock.now = now
            with pytest.raises(ServerOverloaded):
                await executor.run(BlockingCall())
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "Overloaded" in caplog.text


# Timeouts of callers


@pytest.mark.parametrize("running", [True, False], ids=["running", "waiting"])
async def test_submission_times_out_at_once(executor: ExecutorWithBackpressure, running: bool) -> None:
    work = BlockingCall()
    with nullcontext() if running else busy(executor):
        submission = executor.submit(work)
        submission.time_out(2.5)
        with pytest.raises(DeadlineExceeded, match=r"longer than 2\.5 s"):
            await submission
        assert counts(executor, "running", "waiting", "timed_out") == (1, 0, 1)
        work.finish()
    executor.wait_idle()
    assert work.has_started == submission.has_started == running
    assert counts(executor, "completed", "cancelled") == (1, 0 if running else 1)


async def test_finished_call_does_not_time_out(executor: ExecutorWithBackpressure) -> None:
    submission = executor.submit(add, 1, other=1)
    assert await submission == 2
    submission.time_out(1)
    assert await submission.future == 2
    assert counts(executor, "timed_out") == (0,)


@pytest.mark.parametrize("running", [True, False], ids=["running", "waiting"])
def test_call_with_timeout_stops_waiting(executor: ExecutorWithBackpressure, running: bool) -> None:
    work, discarded = BlockingCall(), threading.Event()
    with nullcontext() if running else busy(executor):
        with pytest.raises(DeadlineExceeded):
            executor.call_with_timeout(0.01, work, discarded.set)
        assert counts(executor, "running", "waiting", "timed_out") == (1, 0, 1)
        work.finish()
    executor.wait_idle()
    assert (work.has_started, discarded.is_set()) == (running, not running)


def test_queue_timeout_holds_within_longer_timeout() -> None:
    work, discarded = BlockingCall(), threading.Event()
    with ExecutorWithBackpressure(1, 10, 0.01) as executor, busy(executor):
        with pytest.raises(ServerOverloaded):
            executor.call_with_timeout(TIMEOUT, work, discarded.set)
        assert counts(executor, "rejected", "cancelled", "timed_out") == (1, 0, 0)
    assert discarded.is_set() and not work.has_started


def test_call_with_timeout_uses_pool_thread_and_context_of_caller(executor: ExecutorWithBackpressure) -> None:
    token = tenant.set("green")
    answer = executor.call_with_timeout(TIMEOUT, lambda: (threading.current_thread().name, tenant.get()), lambda: None)
    tenant.reset(token)
    assert answer == ("drum-predict-_0", "green")


# Cancellation


async def test_cancelled_caller_leaves_slot_to_running_work(executor: ExecutorWithBackpressure) -> None:
    work, following = BlockingCall(), BlockingCall()
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


async def test_cancelled_call_leaves_queue_and_never_runs(executor: ExecutorWithBackpressure) -> None:
    work = BlockingCall()
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


async def test_submission_reports_state_of_call(executor: ExecutorWithBackpressure) -> None:
    work, other = BlockingCall(), BlockingCall()
    running, waiting = executor.submit(work), executor.submit(other)
    assert (running.is_queued, running.has_started) == (False, True)
    assert (waiting.is_queued, waiting.has_started) == (True, False)
    waiting.cancel()
    assert (waiting.is_queued, waiting.has_started) == (False, False)
    work.finish()
    await running
    assert (running.is_queued, running.has_started) == (False, True)


async def test_repeated_or_late_cancel_changes_nothing(executor: ExecutorWithBackpressure) -> None:
    with busy(executor):
        submission = executor.submit(BlockingCall())
        submission.cancel()
        submission.cancel()
    ended = executor.submit(add, 1, other=1)
    await ended
    ended.cancel()
    assert counts(executor, "completed", "cancelled") == (2, 1)
    assert await ended == 2


async def test_outcome_of_cancelled_call_is_discarded_silently(
    executor: ExecutorWithBackpressure, caplog: pytest.LogCaptureFixture
) -> None:
    work = BlockingCall()
    submission = executor.submit(work)
    submission.cancel()
    work.fail(ValueError("discarded"))
    executor.wait_idle()
    await asyncio.sleep(0)
    del submission
    gc.collect()
    assert not caplog.records
    assert counts(executor, "completed", "failed") == (1, 1)


@pytest.mark.parametrize("within", [False, True], ids=["call", "call-within"])
def test_interrupted_thread_leaves_queue(executor: ExecutorWithBackpressure, within: bool) -> None:
    interrupted, discarded = threading.Event(), threading.Event()

    def wait_in_queue() -> None:
        if within:
            executor.call_with_timeout(TIMEOUT, BlockingCall(), discarded.set)
        else:
            executor.call(BlockingCall())

    with busy(executor), interrupting(interrupted, when=lambda: received_calls(executor) == 2):
        with pytest.raises(KeyboardInterrupt):
            wait_in_queue()
        interrupted.set()
        assert counts(executor, "waiting", "cancelled") == (0, 1)
        assert discarded.is_set() == within
    assert executor.call(add, 1, other=1) == 2


@contextmanager
def interrupting(interrupted: threading.Event, when: Callable[[], bool]) -> Iterator[None]:
    """Interrupt the main thread once. The signal is repeated: Python notices one just before a wait too late."""

    def interrupt() -> None:
        wait_until(when)
        while not interrupted.wait(0.01):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGUSR1, handle)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        yield
    finally:
        interrupted.set()
        thread.join()
        signal.signal(signal.SIGUSR1, former)


def test_work_frees_slot_after_event_loop_is_closed(executor: ExecutorWithBackpressure) -> None:
    async def submit_only(work: BlockingCall) -> None:
        executor.submit(work)

    work = BlockingCall()
    asyncio.run(submit_only(work))
    work.finish()
    assert executor.wait_idle(TIMEOUT)
    assert counts(executor, "running", "completed") == (0, 1)


# Context, errors, data


async def test_context_variables_reach_function(executor: ExecutorWithBackpressure) -> None:
    token = tenant.set("blue")
    with busy(executor):
        submission = executor.submit(tenant.get)
        tenant.reset(token)
    assert await submission == "blue"
    assert await executor.run(tenant.get) == "none"


async def test_context_variables_set_by_function_do_not_leak(executor: ExecutorWithBackpressure) -> None:
    await executor.run(tenant.set, "red")
    assert tenant.get() == "none"
    assert await executor.run(tenant.get) == "none"


def raise_error(error: BaseException) -> None:
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
async def test_exception_reaches_caller_unchanged(executor: ExecutorWithBackpressure, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        executor.call(raise_error, error)
    assert caught.value is error
    with pytest.raises(type(error)) as caught:
        executor.call_with_timeout(TIMEOUT, partial(raise_error, error), lambda: None)
    assert caught.value is error
    with pytest.raises(type(error)) as caught:
        await executor.submit(raise_error, error).future
    assert caught.value is error or isinstance(error, asyncio.CancelledError)
    assert counts(executor, "completed", "failed", "running") == (3, 3, 0)


async def test_stop_iteration_becomes_runtime_error_on_event_loop(executor: ExecutorWithBackpressure) -> None:
    error = StopIteration("end")
    with pytest.raises(StopIteration) as caught:
        executor.call(raise_error, error)
    assert caught.value is error
    with pytest.raises(RuntimeError) as translated:
        await executor.run(raise_error, error)
    assert translated.value.__cause__ is error


class Data:
    """Stands for a request or a table."""


@pytest.mark.parametrize("within", [False, True], ids=["run", "call-within"])
@pytest.mark.parametrize("fails", [False, True], ids=["result", "error"])
def test_finished_call_releases_its_data(executor: ExecutorWithBackpressure, fails: bool, within: bool) -> None:
    """The data is freed without the garbage collector: there is no reference cycle."""
    seen: list[weakref.ref[Data]] = []

    def work(argument: Data) -> None:
        local = Data()
        seen.extend([weakref.ref(argument), weakref.ref(local)])
        if fails:
            raise ValueError

    async def run() -> None:
        with suppress(ValueError):
            await executor.run(work, Data())

    gc.disable()
    try:
        with suppress(ValueError):
            executor.call_with_timeout(TIMEOUT, partial(work, Data()), lambda: None) if within else asyncio.run(run())
        executor.shutdown()
        assert [reference() for reference in seen] == [None, None]
    finally:
        gc.enable()


async def test_cancelled_call_releases_its_data(executor: ExecutorWithBackpressure) -> None:
    data = Data()
    reference = weakref.ref(data)
    gc.disable()
    try:
        with busy(executor):
            submission = executor.submit(id, data)
            submission.cancel()
            await asyncio.sleep(0)
            del submission, data
            assert reference() is None
    finally:
        gc.enable()
