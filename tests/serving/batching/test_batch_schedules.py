"""Random interleavings of calls that may run together, and others, against what the line promises."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import DeadlineExceeded, ServerOverloaded
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
    """One call; one that may run with others has ``rows``."""

    number: int
    rows: int = 0
    size: int = 0
    fails: bool = False
    deadline: float = 0.0
    gone: str = ""
    never_runs: bool = False
    submission: Submission[Any] | None = None
    task: "asyncio.Task[Any] | None" = None
    context: Context = field(default_factory=copy_context)

    def read(self) -> Any:
        raise AssertionError("nobody reads in these tests")

    def answer(self, predictions: Predictions) -> ModelResponse:
        raise AssertionError("nobody answers in these tests")


@dataclass(eq=False)
class Running:
    """What holds a slot: one batch, or one other call."""

    calls: list[Call]
    work: BlockingCall
    fills_up: bool = True
    """False for a batch that begins beside another though the next call would have found room in it."""


class Schedule:
    """Plays steps on a real executor with a batch that the test holds, and checks after every step."""

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
                self._let_it_go_on()
                self.check()
            while self.running:
                self.finish(0)
                self._let_it_go_on()
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
        running.fills_up = not beside or sum(call.rows for call in batch) > 1 or sum(call.size for call in batch) > 50
        running.work()
        for place in reversed(range(len(batch))):  # the order in which they are done is nobody's business
            call = batch[place]
            error = LookupError() if call.fails else None
            yield Outcome(place, None if error else ModelResponse(b"%d" % call.number), error)

    # Steps

    def burst(self, number: int) -> None:
        """Several calls in the same moment."""
        for place in range(1 + number % 7):
            self.joinable(number * (place + 3))

    def joinable(self, number: int) -> None:
        call = self._new_call(rows=1 + number % 3, size=10 + number % 40, fails=number % 5 == 0)
        call.task = self.loop.create_task(self._submit_joinable(call))

    async def _submit_joinable(self, call: Call) -> Any:
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

    def leave(self, number: int) -> None:
        call = self._present(number)
        if call is not None and call.task is not None:
            call.gone, call.never_runs = "left", self._waits(call)
            call.task.cancel()

    def time_out(self, number: int) -> None:
        call = self._present(number)
        if call is not None and call.submission is not None:
            call.gone, call.never_runs = "timed out", self._waits(call)
            call.submission.time_out(1.0)

    def _present(self, number: int) -> Call | None:
        present = [call for call in self.calls if call.task is not None and not call.task.done()]
        return present[number % len(present)] if present else None

    def _waits(self, call: Call) -> bool:
        return call.submission is None or call.submission.is_queued

    def wait(self, number: int) -> None:
        self.clock.now += 100.0 * (number % 20)

    def shutdown(self, number: int) -> None:
        self.closed = True
        self.executor.shutdown(wait=False, cancel_futures=number % 2 == 0)

    # Checks

    def _let_it_go_on(self) -> None:
        """Until neither the event loop nor a thread that was asked to start has anything left to do."""

        def is_settled() -> bool:
            running: int = self.executor.metrics()["executor_running"]
            threads_are_done = running == self.executor.threads.busy == len(self.running)
            self.loop.run_until_complete(self._turns())
            return threads_are_done and self.executor.metrics()["executor_running"] == running

        wait_until(is_settled)

    async def _turns(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def check(self) -> None:
        self._check_bounds()
        self._check_order()
        self._check_progress()
        self._check_counts()

    def _check_bounds(self) -> None:
        assert len(self.running) <= self.workers
        for batch in self.started:
            assert batch.fills_up
            assert len(batch.calls) == 1 or sum(call.rows for call in batch.calls) <= MAX_ROWS
            assert len(batch.calls) == 1 or sum(call.size for call in batch.calls) <= MAX_BYTES

    def _check_order(self) -> None:
        """First come, first served, among those that may run together; nobody runs twice, or after it has gone."""
        numbers = [call.number for running in self.started for call in running.calls if call.rows]
        if self.workers == 1:
            firsts = [running.calls[0].number for running in self.started]
            assert (numbers, firsts) == (sorted(numbers), sorted(firsts))
        assert len(numbers) == len(set(numbers))
        assert not [call.number for running in self.started for call in running.calls if call.never_runs]
        assert all(call.deadline >= self.clock.now for call in self.waiting)
        for running in self.started:
            assert [call.number for call in running.calls] == sorted(call.number for call in running.calls)

    def _check_progress(self) -> None:
        """Whoever waits has a reason: no slot, or a batch that runs and too few for another one."""
        free = len(self.running) < self.workers
        joinable = [call for call in self.waiting if call.rows]
        others = [call for call in self.waiting if not call.rows]
        assert not (free and others)
        if free and joinable:
            assert any(batch.calls[0].rows for batch in self.running)
            assert sum(call.rows for call in joinable) < MAX_ROWS

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
            assert self._outcome(call) == (call.gone or self._expected(call, call.number in ran))

    def _expected(self, call: Call, ran: bool) -> str:
        if not ran:
            return "refused"
        return "failed" if call.fails else "its own"

    def _outcome(self, call: Call) -> str:
        assert call.task is not None
        if call.task.cancelled():
            return "left"
        error = call.task.exception()
        if error is not None:
            return {ServerOverloaded: "refused", DeadlineExceeded: "timed out", LookupError: "failed"}[type(error)]
        return "its own" if call.task.result().content == b"%d" % call.number else "another's"


WEIGHTS = {"burst": 6, "joinable": 6, "other": 5, "finish": 9, "leave": 3, "time_out": 2, "wait": 2, "shutdown": 1}
NAMES = [name for name, weight in WEIGHTS.items() for _ in range(weight)]
STEPS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 100)), min_size=10, max_size=30)


@settings(max_examples=SCHEDULES, deadline=None)
@given(workers=st.integers(1, 3), steps=STEPS)
def test_every_schedule_keeps_the_promises(workers: int, steps: list[Step]) -> None:
    Schedule(workers).play(steps)
