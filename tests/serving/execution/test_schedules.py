"""Random schedules of calls on a real executor, compared with a simple model after every step."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import DeadlineExceeded, ExecutorShutdown, ServerOverloaded
from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure, Submission
from tests.serving.execution.blocking_call import TIMEOUT, BlockingCall, wait_until
from tests.serving.execution.executor_calls import Clock, Loop, SynchronousCaller

Step = tuple[str, int]

SCHEDULES = int(os.environ.get("DRUM_TEST_SCHEDULES", "100"))
"""Number of random schedules in one run."""

NEVER = 1e6
"""Seconds; longer than any test."""


@dataclass(eq=False)
class Call:
    """One call, as the model sees it (``state``) and as it really is."""

    number: int
    deadline: float
    work: BlockingCall
    state: str = "waiting"
    cancelled: str = ""
    task: "asyncio.Task[object] | None" = None
    submission: Submission[object] | None = None
    caller: SynchronousCaller | None = None


@dataclass
class Model:
    """The promises of the executor as a single-threaded model."""

    workers: int
    depth: int
    timeout: float
    clock: Clock
    closed: bool = False
    queue: list[Call] = field(default_factory=list)
    running: list[Call] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    completed: int = 0
    failed: int = 0
    rejected: int = 0
    cancelled: int = 0
    timed_out: int = 0

    def admit(self, call: Call) -> None:
        if self.closed:
            self.reject(call, "shut down")
        elif len(self.running) < self.workers:
            self.start(call)
        elif self.timeout > 0:
            self.queue.append(call)
        else:
            self.reject(call)

    def start(self, call: Call) -> None:
        call.state = "running"
        self.running.append(call)
        self.starts.append(call.number)

    def reject(self, call: Call, state: str = "rejected") -> None:
        call.state = state
        self.rejected += 1

    def end(self, call: Call, failed: bool) -> None:
        call.state = "failed" if failed else "done"
        self.running.remove(call)
        self.completed += 1
        self.failed += failed
        while self.queue and len(self.running) < self.workers:
            first = self.queue.pop(0)
            self.reject(first) if first.deadline < self.clock.now else self.start(first)

    def cancel(self, call: Call, reason: str) -> None:
        call.cancelled = reason
        if call.state == "waiting":
            call.state = "never ran"
            self.queue.remove(call)
            self.cancelled += 1

    def expire(self) -> None:
        """Only tasks have timers that this clock drives; a thread's own wait takes real time."""
        for call in [call for call in self.queue if call.task is not None and call.deadline < self.clock.now]:
            self.queue.remove(call)
            self.reject(call)

    def shutdown(self, cancel: bool) -> None:
        self.closed = True
        if cancel:
            for call in self.queue:
                self.reject(call)
            self.queue.clear()

    def metrics(self) -> dict[str, int]:
        pending = len(self.running) + min(len(self.queue), self.depth)
        return {
            "executor_workers": self.workers,
            "executor_max_queue": self.depth,
            "executor_pending": pending,
            "executor_queue_available": self.workers + self.depth - pending,
            "executor_running": len(self.running),
            "executor_waiting": len(self.queue),
            "executor_completed": self.completed,
            "executor_failed": self.failed,
            "executor_rejected": self.rejected,
            "executor_cancelled": self.cancelled,
            "executor_timed_out": self.timed_out,
        }


class Schedule:
    """Plays steps on a real executor and on the model, one after the other, and compares."""

    def __init__(self, workers: int, depth: int, timeout: float) -> None:
        self.clock = Clock()
        self.loop = Loop(self.clock)
        self.executor = ExecutorWithBackpressure(workers, depth, timeout, clock=self.clock)
        self.model = Model(workers, depth, timeout, self.clock)
        self.calls: list[Call] = []
        self.starts: list[int] = []

    def play(self, steps: list[Step]) -> None:
        try:
            for name, number in steps:
                step: Callable[[int], None] = getattr(self, name)
                step(number)
                self.check()
            while self.model.running:
                self.finish(0)
                self.check()
            self.check_outcomes()
        finally:
            for call in self.calls:
                call.work.finish()
            self.executor.shutdown()
            self.loop.close()

    # Steps: the number picks one of the calls that the step can concern

    def submit(self, _: int) -> None:
        call = self._new_call()
        call.task = self.loop.create_task(self._submit(call))
        self.model.admit(call)
        self.loop.run_until_complete(asyncio.sleep(0))

    async def _submit(self, call: Call) -> object:
        call.submission = self.executor.submit(call.work)
        return await call.submission

    def call(self, number: int) -> None:
        call = self._new_call()
        self.model.admit(call)
        call.caller = SynchronousCaller(self.executor, call.work, timeout=None if number % 2 else NEVER)

    def finish(self, number: int) -> None:
        self._end(number, lambda work: work.finish(), failed=False)

    def fail(self, number: int) -> None:
        self._end(number, lambda work: work.fail(LookupError()), failed=True)

    def cancel(self, number: int) -> None:
        call = self._pending_call(number)
        if call is not None and call.task is not None:
            self.model.cancel(call, "cancelled")
            call.task.cancel()
            self._join(call)

    def time_out(self, number: int) -> None:
        call = self._pending_call(number)
        if call is not None and call.submission is not None:
            self.model.cancel(call, "timed out")
            self.model.timed_out += 1
            call.submission.time_out(1.0)
            self._join(call)

    def _pending_call(self, number: int) -> Call | None:
        """One of the tasks that still wait for their call."""
        present = [call for call in self.calls if call.task is not None and not call.task.done()]
        return present[number % len(present)] if present else None

    def wait(self, number: int) -> None:
        self.clock.now += 100.0 * (number % 20)
        self.model.expire()
        self.loop.run_until_complete(asyncio.sleep(0))

    def shutdown(self, number: int) -> None:
        cancel = number % 2 == 0
        self.model.shutdown(cancel)
        self.executor.shutdown(wait=False, cancel_futures=cancel)

    def _new_call(self) -> Call:
        number = len(self.calls)
        work = BlockingCall(number, on_start=lambda: self.starts.append(number))
        call = Call(number, self.clock.now + self.model.timeout, work)
        self.calls.append(call)
        return call

    def _end(self, number: int, end: Callable[[BlockingCall], None], failed: bool) -> None:
        if self.model.running:
            call = self.model.running[number % len(self.model.running)]
            self.model.end(call, failed)
            end(call.work)
            wait_until(lambda: self.executor.metrics()["executor_completed"] >= self.model.completed)

    # Checks

    def check(self) -> None:
        """All that the last step had to bring about has happened, and nothing else."""
        for call in self.calls:
            if call.state == "running":
                call.work.wait_started()
            elif call.state != "waiting":
                self._join(call)
        assert self.starts == self.model.starts
        metrics = self.executor.metrics()
        expected = self.model.metrics()
        assert {name: metrics[name] for name in expected} == expected
        assert metrics["executor_wait_seconds"]["count"] == len(self.model.starts)
        assert metrics["executor_run_seconds"]["count"] == self.model.completed

    def check_outcomes(self) -> None:
        for call in self.calls:
            assert call.work.has_started == (call.state in ("done", "failed"))
            assert self._outcome(call) == (call.cancelled or call.state)
            if call.caller is not None and call.caller.timeout is not None:
                assert call.caller.discarded == (call.state in ("rejected", "shut down"))
        assert self.executor.wait_idle(TIMEOUT)

    def _join(self, call: Call) -> None:
        if call.task is not None and not call.task.done():
            self.loop.run_until_complete(asyncio.wait([call.task], timeout=None))
        elif call.caller is not None:
            call.caller.join()

    def _outcome(self, call: Call) -> str:
        if call.task is not None and call.task.cancelled():
            return "cancelled"
        error = call.task.exception() if call.task is not None else call.caller and call.caller.error
        if error is None:
            result = call.task.result() if call.task is not None else call.caller and call.caller.result
            return "done" if result == call.number else f"wrong result {result}"
        return OUTCOMES.get(type(error), "wrong error")


OUTCOMES = {
    ServerOverloaded: "rejected",
    ExecutorShutdown: "shut down",
    DeadlineExceeded: "timed out",
    LookupError: "failed",
}
WEIGHTS = {"submit": 12, "call": 8, "finish": 8, "fail": 4, "cancel": 3, "time_out": 2, "wait": 3, "shutdown": 1}
NAMES = [name for name, weight in WEIGHTS.items() for _ in range(weight)]
STEPS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 100)), min_size=10, max_size=40)


@settings(max_examples=SCHEDULES)
@given(
    workers=st.integers(1, 4),
    depth=st.integers(0, 4),
    timeout=st.sampled_from([1000.5, 1000.5, 1000.5, 0.0]),
    steps=STEPS,
)
def test_executor_follows_model_in_every_schedule(workers: int, depth: int, timeout: float, steps: list[Step]) -> None:
    Schedule(workers, depth, timeout).play(steps)
