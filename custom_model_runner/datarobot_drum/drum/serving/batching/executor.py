"""Admission for calls that may run together: many places in the line, one slot.

Calls that can be joined wait in the executor's line like all others, each with its own deadline. A batch takes those
that wait, in order, up to its limits, and holds one slot until it ends. One batch runs at a time, so the next one is
made of what came meanwhile; a further one runs beside it only if it is full.

A batch that is not full begins as soon as nothing more is to be expected: when the event loop has had a few turns that
brought no call (see ``IDLE_LOOP_TURNS``), and the extra wait, if one is asked for, is over. When others need the slot
it begins at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from datarobot_drum.drum.exceptions import ServerOverloaded
from datarobot_drum.drum.serving.batching.predictor import BatchableCall, Outcome
from datarobot_drum.drum.serving.batching.statistics import BatchStatistics
from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure, Submission
from datarobot_drum.drum.serving.execution.futures import set_outcome_threadsafe
from datarobot_drum.drum.serving.execution.prediction_threads import PredictionThreads, Work
from datarobot_drum.drum.serving.execution.queue_entries import ENDED, RUNNING, PooledEntry, QueueEntry
from datarobot_drum.drum.serving.messages import ModelResponse

IDLE_LOOP_TURNS = 3
"""Turns of the event loop: one to look at the connections, one to read a request, one to hand its call in."""

LARGEST_BATCH_BYTES = 8 * 1024 * 1024

Deliver = Callable[[ModelResponse | None, BaseException | None], None]


@dataclass(frozen=True)
class BatchLimits:
    """``rows`` of one batch; ``wait`` is what its first call waits for others, in seconds; ``size`` is in bytes."""

    rows: int
    wait: float = 0.0
    size: int = LARGEST_BATCH_BYTES


class BatchMember(QueueEntry):
    """The place of a call that may run with others. It is empty once it has its outcome."""

    __slots__ = ("_deliver", "call", "rows", "size")

    def __init__(
        self, arrived: float, timeout: float, call: BatchableCall, rows: int, size: int, deliver: Deliver
    ) -> None:
        super().__init__(arrived, timeout)
        self.call = call
        self.rows = rows
        self.size = size
        self._deliver = deliver

    def begin(self) -> None:
        """Its batch does."""

    def reject(self) -> None:
        self.tell(None, ServerOverloaded())

    def tell(self, answer: ModelResponse | None, error: BaseException | None) -> None:
        deliver = self._deliver
        del self.call, self._deliver
        deliver(answer, error)


class _Batch(PooledEntry):
    """The slot of several members. It never stands in the line."""

    __slots__ = ("members",)

    def __init__(
        self, members: list[BatchMember], pool: PredictionThreads, work: "Callable[[_Batch], Work | None]"
    ) -> None:
        super().__init__(members[0].arrived, 0.0, pool, work)
        self.members = members

    def reject(self) -> None:
        """Its members are refused one by one, while they stand in the line."""


class BatchingExecutor(ExecutorWithBackpressure):
    """An executor that also takes calls which may run together, from one event loop.

    ``predict_batch`` does so; it is to be set before the first of them is handed in.
    """

    def __init__(self, limits: BatchLimits, max_workers: int = 4, *arguments: Any, **keywords: Any) -> None:
        super().__init__(max_workers, *arguments, **keywords)
        self.limits = limits
        self.predict_batch: Callable[[Sequence[BatchableCall]], Iterator[Outcome]]
        self.statistics = BatchStatistics()
        self._batches = 0
        self._last_batch_seconds = 0.0
        # Of the event loop's thread alone
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrivals = 0
        self._next_look: asyncio.Handle | None = None

    def submit_batchable(self, call: BatchableCall, rows: int, size: int) -> Submission[ModelResponse]:
        """Like ``submit``, for a call that may run with others.

        Args:
            rows: how many it has at most, as far as can be told.
            size: of its samples in bytes.
        """
        self._loop = loop = asyncio.get_running_loop()
        future: asyncio.Future[ModelResponse] = loop.create_future()
        member = BatchMember(
            self._clock(), self.queue_timeout, call, rows, size, partial(set_outcome_threadsafe, future)
        )
        if self._join_line(member):
            self._watch(member, future)
            self._arrivals += 1
            self._expect_more()
        else:
            member.reject()
        return Submission(self, member, future)

    def _join_line(self, member: BatchMember) -> bool:
        with self._lock:
            if self._closed:
                self._refuse(member)
            else:
                self._queue.append(member)
            return not self._closed

    # When a batch begins: asked on the event loop

    def _expect_more(self) -> None:
        """Begin what is full; a batch that is not begins when nothing more comes, which takes some looks to know."""
        if self._begin_full() is not None and self._next_look is None:
            self._look_in_next_turn(self._clock(), quiet=0)

    def _look_in_next_turn(self, since: float, quiet: int) -> None:
        assert self._loop is not None
        self._next_look = self._loop.call_soon(self._poll, since, quiet, self._arrivals)

    def _poll(self, since: float, quiet: int, seen: int) -> None:
        """Begin, look again in the next turn, or when the extra wait is over.

        To look longer than a batch takes could not pay: whoever waits might have had its answer.

        Args:
            since: when the first look was.
            quiet: how many turns before the last look had brought no call.
            seen: how many calls had arrived by then.
        """
        self._next_look = None
        first = self._begin_full()
        if first is None:
            return
        quiet = quiet + 1 if seen == self._arrivals else 0
        now = self._clock()
        left = first.arrived + self.limits.wait - now
        if quiet < IDLE_LOOP_TURNS and now <= since + self._last_batch_seconds:
            self._look_in_next_turn(since, quiet)
        elif left > 0 and self._loop is not None:
            self._next_look = self._loop.call_later(left, self._poll, since, IDLE_LOOP_TURNS, self._arrivals)
        else:
            self._begin_waiting()

    def _begin_full(self) -> BatchMember | None:
        """Begin all batches that are full; returns the first call of one that is not but may begin."""
        batches: list[_Batch] = []
        with self._lock:
            members, full = self._choose()
            while members and full and self._running < self.max_workers:
                batches.append(self._start_batch(members))
                members, full = self._choose()
            may_begin = members and not self._batches and self._running < self.max_workers
        for batch in batches:
            batch.begin()
        return members[0] if may_begin else None

    def _begin_waiting(self) -> None:
        """Begin a batch with whoever waits, if none runs."""
        with self._lock:
            members, _ = self._choose()
            may_begin = members and not self._batches and self._running < self.max_workers
            batch = self._start_batch(members) if may_begin else None
        if batch is not None:
            batch.begin()

    def _look_later(self) -> None:
        """From any thread: something has ended that those who wait may have waited for."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the event loop is closed
                self._loop.call_soon_threadsafe(self._expect_more)

    # The line

    def _choose(self) -> tuple[list[BatchMember], bool]:
        """Those of the line who come next, and whether nobody else would fit in."""
        chosen: list[BatchMember] = []
        rows = size = 0
        for ticket in self._queue:
            if not isinstance(ticket, BatchMember):
                continue
            rows += ticket.rows
            size += ticket.size
            if chosen and (rows > self.limits.rows or size > self.limits.size):
                return chosen, True
            chosen.append(ticket)
        return chosen, rows >= self.limits.rows

    def _start_batch(self, members: list[BatchMember]) -> _Batch:
        gone = set(members)
        self._queue = deque(ticket for ticket in self._queue if ticket not in gone)
        batch = _Batch(members, self.threads, self._work_batch)
        now = self._clock()
        for ticket in (batch, *members):
            ticket.state = RUNNING
            ticket.started = now
        for member in members:
            self.wait_times.record(now - member.arrived)
        self._running += 1
        self._batches += 1
        self.statistics.begin(len(members))
        if self.on_running:
            self.on_running(self._running)
        return batch

    def _admit(self, ticket: QueueEntry) -> bool:
        """Whoever waits for company gives way to nobody: the last slot is theirs."""
        if self._queue and self._running == self.max_workers - 1:
            self._begin_waiting()
        return super()._admit(ticket)

    def _take_next(self, now: float, late: list[QueueEntry]) -> QueueEntry | None:
        while self._queue and self._queue[0].deadline < now:
            late.append(self._queue.popleft())
            self._refuse(late[-1])
        others = next((ticket for ticket in self._queue if not isinstance(ticket, BatchMember)), None)
        if self._queue and self._queue[0] is not others:
            members, full = self._choose()
            if full or (not self._batches and (others is not None or self._closed)):
                return self._start_batch(members)
        if others is not None:
            self._queue.remove(others)
            self._start(others)
        return others

    def _end(self, ticket: QueueEntry, *, failed: bool) -> QueueEntry | None:
        following = super()._end(ticket, failed=failed)
        if following is None and self._queue:
            self._look_later()
        return following

    def _count_end(self, ticket: QueueEntry, now: float, *, failed: bool) -> None:
        if not isinstance(ticket, _Batch):
            super()._count_end(ticket, now, failed=failed)
            return
        ticket.state = ENDED
        self._batches -= 1
        self._last_batch_seconds = now - ticket.started

    def shutdown(self, wait: bool = True, cancel_futures: bool = True) -> None:
        with self._lock:
            self._closed = True
        if not cancel_futures:
            self._begin_waiting()  # nobody else will come
        super().shutdown(wait, cancel_futures)

    # The work

    def _work_batch(self, batch: _Batch) -> Work | None:
        left = dict(enumerate(batch.members))
        batch.members = []
        try:
            for outcome in self.predict_batch([member.call for member in left.values()]):
                self._finish(left.pop(outcome.place), outcome.answer, outcome.error)
        except BaseException as error:  # whatever went wrong, nobody may wait for ever
            for member in left.values():
                self._finish(member, None, error)
        following = self._end(batch, failed=False)
        return None if following is None else following.begin_here()

    def _finish(self, member: BatchMember, answer: ModelResponse | None, error: BaseException | None) -> None:
        with self._lock:
            self._count_end(member, self._clock(), failed=error is not None)
            self.statistics.end_call()
        member.tell(answer, error)

    def metrics(self) -> dict[str, Any]:
        """Those of every executor, and ``batching``. Calls in one batch hold one slot, so count as one that runs."""
        with self._lock:
            batching = self.statistics.summary()
        return {**super().metrics(), "batching": batching}
