import threading
from collections.abc import Awaitable, Callable

import pytest

from datarobot_drum.drum.process import worker_ctx as module
from datarobot_drum.drum.process.worker_ctx import WorkerCtx


class Owned:
    """A resource that logs when it is closed, killed or called."""

    def __init__(self, log: list[str], name: str) -> None:
        self._log = log
        self._name = name

    def close(self) -> None:
        self._log.append(f"close {self._name}")

    def kill(self) -> None:
        self._log.append(f"kill {self._name}")

    def __call__(self) -> None:
        self._log.append(self._name)


@pytest.fixture
def ctx() -> WorkerCtx:
    ctx = WorkerCtx()
    ctx.start()
    return ctx


# Running


def test_worker_is_running_from_start_to_stop() -> None:
    ctx = WorkerCtx()
    states = [ctx.is_running]
    for step in (ctx.start, ctx.start, ctx.stop):
        step()
        states.append(ctx.is_running)
    assert states == [False, True, True, False]


def test_draining_worker_is_not_running(ctx: WorkerCtx) -> None:
    states = [(ctx.is_running, ctx.is_draining)]
    ctx.drain()
    states.append((ctx.is_running, ctx.is_draining))
    assert states == [(True, False), (False, True)]


def test_worker_can_drain_before_start() -> None:
    ctx = WorkerCtx()
    ctx.drain()
    ctx.start()
    assert not ctx.is_running


@pytest.mark.parametrize("end", [WorkerCtx.stop, WorkerCtx.cleanup], ids=["stop", "cleanup"])
def test_stopped_worker_never_starts_again(ctx: WorkerCtx, end: Callable[[WorkerCtx], None]) -> None:
    end(ctx)
    ctx.start()
    assert not ctx.is_running


def test_drain_callbacks_run_once(ctx: WorkerCtx) -> None:
    log: list[str] = []
    ctx.defer_drain(Owned(log, "first"))
    ctx.defer_drain(Owned(log, "second"))
    ctx.drain()
    ctx.drain()
    assert log == ["first", "second"]


# Order


def test_stops_run_in_reverse_order_before_greenlets_and_threads_end(ctx: WorkerCtx) -> None:
    log: list[str] = []
    stopped = threading.Event()

    def run() -> None:
        stopped.wait()
        log.append("thread ends")

    thread = threading.Thread(target=run)
    thread.start()
    ctx.add_thread(thread)
    ctx.add_greenlet(Owned(log, "greenlet"))
    ctx.defer_stop(stopped.set)
    ctx.defer_stop(Owned(log, "later stop"))
    ctx.stop()
    assert not thread.is_alive()
    assert log[0] == "later stop" and sorted(log[1:]) == ["kill greenlet", "thread ends"]


def test_cleanups_run_by_order_and_last_added_first(ctx: WorkerCtx) -> None:
    log: list[str] = []
    for order, name in [(0, "a"), (50, "b"), (100, "c"), (50, "d"), (-1, "e")]:
        ctx.defer_cleanup(Owned(log, name), order)
    ctx.add_closeable(Owned(log, "f"), order=60)
    ctx.cleanup()
    assert log == ["c", "close f", "d", "b", "a", "e"]


def test_cleanup_stops_the_worker_first(ctx: WorkerCtx) -> None:
    log: list[str] = []
    ctx.defer_cleanup(Owned(log, "cleanup"))
    ctx.defer_stop(Owned(log, "stop"))
    ctx.cleanup()
    assert log == ["stop", "cleanup"]


def test_stops_and_cleanups_run_once(ctx: WorkerCtx) -> None:
    log: list[str] = []
    ctx.defer_stop(Owned(log, "stop"))
    ctx.add_closeable(Owned(log, "file"))
    for end in (ctx.stop, ctx.stop, ctx.cleanup, ctx.cleanup, ctx.stop):
        end()
    assert log == ["stop", "close file"]


def test_stop_runs_no_cleanup(ctx: WorkerCtx) -> None:
    log: list[str] = []
    ctx.add_closeable(Owned(log, "file"))
    ctx.stop()
    assert log == []


def test_cleanup_may_defer_another(ctx: WorkerCtx) -> None:
    log: list[str] = []
    ctx.defer_cleanup(lambda: ctx.defer_cleanup(Owned(log, "late")), order=5)
    ctx.defer_cleanup(Owned(log, "planned"))
    ctx.cleanup()
    assert sorted(log) == ["late", "planned"]


# Failures


def fail() -> None:
    raise OSError("no such device")


def exit_process() -> None:
    raise SystemExit(3)


@pytest.mark.parametrize("failure", [fail, exit_process], ids=["error", "exit"])
def test_failing_step_is_logged_and_the_others_run(
    ctx: WorkerCtx, caplog: pytest.LogCaptureFixture, failure: Callable[[], None]
) -> None:
    log: list[str] = []
    for name in ("first", "last"):
        ctx.defer_drain(Owned(log, f"drain {name}"))
        ctx.defer_stop(Owned(log, f"stop {name}"))
        ctx.defer_cleanup(Owned(log, f"clean {name}"))
        if name == "first":
            ctx.defer_drain(failure, "deregister")
            ctx.defer_stop(failure, "stop the listener")
            ctx.defer_cleanup(failure, desc="remove files")
    ctx.drain()
    ctx.cleanup()
    assert log == ["drain first", "drain last", "stop last", "stop first", "clean last", "clean first"]
    for description in ("deregister", "stop the listener", "remove files"):
        assert description in caplog.text


def test_failure_without_description_is_logged_with_function_name(
    ctx: WorkerCtx, caplog: pytest.LogCaptureFixture
) -> None:
    ctx.defer_cleanup(fail)
    ctx.cleanup()
    assert "Worker shutdown step failed: fail." in caplog.text


def test_thread_that_does_not_stop_is_logged_and_abandoned(
    ctx: WorkerCtx, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "THREAD_JOIN_SECONDS", 0.0)
    free = threading.Event()
    thread = threading.Thread(target=free.wait, name="stubborn")
    thread.start()
    ctx.add_thread(thread)
    ctx.stop()
    assert "stubborn" in caplog.text
    free.set()
    thread.join()


def test_unstarted_thread_and_stop_from_own_thread_are_accepted(ctx: WorkerCtx) -> None:
    ctx.add_thread(threading.Thread())
    thread = threading.Thread(target=ctx.stop)
    ctx.add_thread(thread)
    thread.start()
    thread.join()
    assert not ctx.is_running


# Metrics


def test_worker_without_executor_has_no_backpressure_metrics(ctx: WorkerCtx) -> None:
    assert ctx.get_backpressure_metrics() == {}


def test_backpressure_metrics_are_collected_on_each_call(ctx: WorkerCtx) -> None:
    numbers = iter([1, 2])
    ctx.set_backpressure_metrics(lambda: {"executor_pending": next(numbers)})
    assert [ctx.get_backpressure_metrics() for _ in range(2)] == [{"executor_pending": 1}, {"executor_pending": 2}]


# Event loop


async def test_async_cleanups_run_before_the_others(ctx: WorkerCtx) -> None:
    log: list[str] = []

    def awaited(name: str) -> Callable[[], Awaitable[None]]:
        async def clean() -> None:
            log.append(name)
            if name == "fails":
                raise ValueError(name)

        return clean

    for name in ("first", "fails", "last"):
        ctx.defer_async_cleanup(awaited(name))
    ctx.defer_cleanup(Owned(log, "plain"), order=100)
    ctx.defer_stop(Owned(log, "stop"))
    await ctx.cleanup_async()
    await ctx.cleanup_async()
    assert log == ["stop", "last", "fails", "first", "plain"]
