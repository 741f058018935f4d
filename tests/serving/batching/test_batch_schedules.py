"""Random schedules of batchable and other calls on a real executor, checked after every step."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import DeadlineExceeded, ExecutorShutdown, ServerOverloaded
from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.serving.batching.executor import IDLE_LOOP_TURNS, BatchingExecutor, BatchLimits
from datarobot_drum.drum.serving.batching.predictor import BatchableCall, Outcome
from datarobot_drum.drum.serving.execution.executor import Submission
from datarobot_drum.drum.serving.messages import ModelResponse
from tests.serving.execution.blocking_call import BlockingCall, wait_until
from tests.serving.execution.executor_calls import Clock, Loop

Step = tuple[str, int]

SCHEDULES = 150
MAX_ROWS = 4
MAX_BYTES = 100
TURNS = 2 * IDLE_LOOP_TURNS + 4
TIMEOUT = 1000.5


@dataclass(eq=False)
class Call:
    """One call; a batchable one has ``rows``."""

    number: int
    rows: int = 0
    size: int = 0
    fails: bool = False
    deadline: float = 0.0
    cancelled: str = ""
    never_runs: bool = False
    submission: Submission[Any] | None = None
    task: "asyncio.Task[Any] | None" = None
    context: Context = field(default_factory=copy_context)

    def read(self) -> Any:
        raise AssertionError("no samples are read in these tests")

    def respond(self, predictions: Predictions) -> ModelResponse:
        raise AssertionError("no responses are made in these tests")


@dataclass(eq=False)
class Running:
    """The holder of a slot: one batch, or one other call."""

    calls: list[Call]
    work: BlockingCall
    is_justified: bool = True
    """False for a batch that started beside another although the next call would have fit in."""


class Schedule:
    """Plays steps on a real executor whose batches block until the test finishes them."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.clock = Clock()
        self.loop = Loop(self.clock)
        limits = BatchLimits(MAX_ROWS, size=MAX_BYTES)
        self.executor = BatchingExecutor(limits, workers, 3, TIMEOUT, clock=self.clock)
        self.executor.predict_batch = self._predict_batch
        self.calls: list[Call] = []
        self.started: list[Running] = []
        self.ended: list[Running] = []
        self.closed = False

    def play(self, steps: list[Step]) -> None:
        try:
            for name, number in steps:
                step: Callable[[int], None] = getattr(self, name)
                step(number)
                self._settle()
                self.check()
            while self.running:
                self.finish(0)
                self._settle()
                self.check()
            self.check_outcomes()
        finally:
            for running in self.started:
                running.work.finish()
            self.executor.shutdown()
            self.loop.close()

    @property
    def running(self) -> list[Running]:
        return [running for running in self.started if running not in self.ended]

    @property
    def waiting(self) -> list[Call]:
        return [call for call in self.calls if call.submission is not None and call.submission.is_queued]

    def _predict_batch(self, calls: Sequence[BatchableCall]) -> Iterator[Outcome]:
        batch = [call for call in calls if isinstance(call, Call)]
        running = Running(batch, BlockingCall())
        self.started.append(running)
        beside = [other for other in self.running if other is not running and other.calls[0].rows]
        running.is_justified = (
            not beside or sum(call.rows for call in batch) > 1 or sum(call.size for call in batch) > 50
        )
        running.work()
        for position in reversed(range(len(batch))):  # outcomes may come in any order
            call = batch[position]
            error = LookupError() if call.fails else None
            yield Outcome(position, None if error else ModelResponse(b"%d" % call.number), error)

    # Steps

    def burst(self, number: int) -> None:
        """Submit several calls in one turn of the loop."""
        for position in range(1 + number % 7):
            self.batchable(number * (position + 3))

    def batchable(self, number: int) -> None:
        call = self._new_call(rows=1 + number % 3, size=10 + number % 40, fails=number % 5 == 0)
        call.task = self.loop.create_task(self._submit_batchable(call))

    async def _submit_batchable(self, call: Call) -> Any:
        call.submission = self.executor.submit_batchable(call, call.rows, call.size)
        return await call.submission

    def other(self, _: int) -> None:
        call = self._new_call()
        running = Running([call], BlockingCall(ModelResponse(b"%d" % call.number)))
        running.work = BlockingCall(ModelResponse(b"%d" % call.number), lambda: self.started.append(running))
        call.task = self.loop.create_task(self._submit_other(call, running.work))

    async def _submit_other(self, call: Call, work: BlockingCall) -> Any:
        call.submission = self.executor.submit(work)
        return await call.submission

    def _new_call(self, **details: Any) -> Call:
        call = Call(len(self.calls), deadline=self.clock.now + TIMEOUT, **details)
        self.calls.append(call)
        return call

    def finish(self, number: int) -> None:
        if self.running:
            running = self.running[number % len(self.running)]
            self.ended.append(running)
            running.work.finish()
            done = sum(len(former.calls) for former in self.ended)
            wait_until(lambda: self.executor.metrics()["executor_completed"] == done)

    def cancel(self, number: int) -> None:
        call = self._pending_call(number)
        if call is not None and call.task is not None:
            call.cancelled, call.never_runs = "cancelled", self._waits(call)
            call.task.cancel()

    def time_out(self, number: int) -> None:
        call = self._pending_call(number)
        if call is not None and call.submission is not None:
            call.cancelled, call.never_runs = "timed out", self._waits(call)
            call.submission.time_out(1.0)

    def _pending_call(self, number: int) -> Call | None:
        pending = [call for call in self.calls if call.task is not None and not call.task.done()]
        return pending[number % len(pending)] if pending else None

    def _waits(self, call: Call) -> bool:
        return call.submission is None or call.submission.is_queued

    def wait(self, number: int) -> None:
        self.clock.now += 100.0 * (number % 20)

    def shutdown(self, number: int) -> None:
        self.closed = True
        self.executor.shutdown(wait=False, cancel_futures=number % 2 == 0)

    # Checks

    def _settle(self) -> None:
        """Run the event loop until all threads have started and finished what the last step allows."""
        wait_until(self._is_settled)

    def _is_settled(self) -> bool:
        self.loop.run_until_complete(self._turns())
        running: int = self.executor.metrics()["executor_running"]
        return running == len(self.running) and self._has_progressed()

    async def _turns(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def check(self) -> None:
        self._check_bounds()
        self._check_order()
        self._check_counts()

    def _check_bounds(self) -> None:
        assert len(self.running) <= self.workers
        for batch in self.started:
            assert batch.is_justified
            assert len(batch.calls) == 1 or sum(call.rows for call in batch.calls) <= MAX_ROWS
            assert len(batch.calls) == 1 or sum(call.size for call in batch.calls) <= MAX_BYTES

    def _check_order(self) -> None:
        """Check that batchable calls start in their order, once, and never after a cancellation."""
        numbers = [call.number for running in self.started for call in running.calls if call.rows]
        if self.workers == 1:
            firsts = [running.calls[0].number for running in self.started]
            assert (numbers, firsts) == (sorted(numbers), sorted(firsts))
        assert len(numbers) == len(set(numbers))
        assert not [call.number for running in self.started for call in running.calls if call.never_runs]
        assert all(call.deadline >= self.clock.now for call in self.waiting)
        for running in self.started:
            assert [call.number for call in running.calls] == sorted(call.number for call in running.calls)

    def _has_progressed(self) -> bool:
        """Return False while a call waits without a reason: a free slot, and no batch that it waits for."""
        if len(self.running) == self.workers:
            return True
        batchable = [call for call in self.waiting if call.rows]
        if len(batchable) < len(self.waiting):
            return False
        is_batch_running = any(batch.calls[0].rows for batch in self.running)
        return not batchable or (is_batch_running and sum(call.rows for call in batchable) < MAX_ROWS)

    def _check_counts(self) -> None:
        metrics = self.executor.metrics()
        in_batches = sum(len(batch.calls) for batch in self.running if batch.calls[0].rows)
        assert metrics["batching"]["running_calls"] == in_batches
        assert metrics["executor_waiting"] == len(self.waiting)
        others = sum(1 for running in self.running if not running.calls[0].rows)
        states = ("completed", "rejected", "cancelled", "waiting")
        known = sum(metrics[f"executor_{state}"] for state in states)
        assert known + in_batches + others == len(self.calls)
        assert metrics["executor_run_seconds"]["count"] == metrics["executor_completed"]

    def check_outcomes(self) -> None:
        ran = {call.number for running in self.started for call in running.calls}
        for call in self.calls:
            assert call.task is not None and call.task.done()
            assert self._outcome(call) == (call.cancelled or self._expected(call, call.number in ran))

    def _expected(self, call: Call, ran: bool) -> str:
        if not ran:
            return "rejected"
        return "failed" if call.fails else "done"

    def _outcome(self, call: Call) -> str:
        assert call.task is not None
        if call.task.cancelled():
            return "cancelled"
        error = call.task.exception()
        if error is not None:
            return OUTCOMES[type(error)]
        return "done" if call.task.result().content == b"%d" % call.number else "wrong response"


OUTCOMES = {
    ServerOverloaded: "rejected",
    ExecutorShutdown: "rejected",
    DeadlineExceeded: "timed out",
    LookupError: "failed",
}
WEIGHTS = {"burst": 6, "batchable": 6, "other": 5, "finish": 9, "cancel": 3, "time_out": 2, "wait": 2, "shutdown": 1}
NAMES = [name for name, weight in WEIGHTS.items() for _ in range(weight)]
STEPS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 100)), min_size=10, max_size=30)


@settings(max_examples=SCHEDULES, deadline=None)
@given(workers=st.integers(1, 3), steps=STEPS)
def test_batching_executor_keeps_promises_in_every_schedule(workers: int, steps: list[Step]) -> None:
    Schedule(workers).play(steps)
