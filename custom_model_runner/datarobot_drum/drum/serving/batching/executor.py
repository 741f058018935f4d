"""Admission of calls that can be combined: each waits in the executor's queue, and a batch of them takes one slot.

A batch takes the calls that wait, in their order, up to its limits. One batch runs at a time, so that the next one
combines the calls that arrive meanwhile; a further one runs beside it only if it is full.

A batch that is not full starts once the event loop has been idle for ``IDLE_LOOP_TURNS`` and the extra wait, if one is
set, is over. It starts at once when another call would take the last slot.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from datarobot_drum.drum.serving.batching.predictor import BatchableCall, Outcome
from datarobot_drum.drum.serving.batching.statistics import BatchStatistics
from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure, Submission
from datarobot_drum.drum.serving.execution.futures import set_outcome_threadsafe
from datarobot_drum.drum.serving.execution.queue_entries import QueuedCall, QueueEntry, State
from datarobot_drum.drum.serving.messages import ModelResponse
from datarobot_drum.drum.serving.metrics.families import BATCH_SIZE

IDLE_LOOP_TURNS = 3
"""Turns of the event loop: one to poll the connections, one to read a request, one to submit its call."""

MAX_BATCH_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class BatchLimits:
    """Limits of one batch: ``rows``, ``size`` in bytes, and the seconds that its first call waits for others."""

    rows: int
    wait: float = 0.0
    size: int = MAX_BATCH_BYTES


@dataclass(slots=True, eq=False)
class BatchMember(QueueEntry):
    """A call that can be combined with others. It drops its references once it has an outcome."""

    call: BatchableCall
    rows: int
    size: int
    on_outcome: Callable[[ModelResponse | None, BaseException | None], object]

    def set_outcome(self, response: ModelResponse | None, error: BaseException | None) -> None:
        on_outcome = self.on_outcome
        del self.call, self.on_outcome
        on_outcome(response, error)

    def reject(self, error: Exception) -> None:
        self.set_outcome(None, error)


class Batch(QueuedCall):
    """The slot that several members share. It never waits in the queue."""


class BatchingExecutor(ExecutorWithBackpressure):
    """An executor that also takes calls which can be combined, from one event loop.

    ``predict_batch`` returns their outcomes; set it before the first of them is submitted.
    """

    def __init__(self, limits: BatchLimits, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.limits = limits
        self.predict_batch: Callable[[Sequence[BatchableCall]], Iterator[Outcome]]
        self.statistics = BatchStatistics()
        self._batches = 0
        self._last_batch_seconds = 0.0
        # Used in the thread of the event loop only
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrivals = 0
        self._next_poll: asyncio.Handle | None = None

    def submit_batchable(self, call: BatchableCall, rows: int, size: int) -> Submission[ModelResponse]:
        """Do the same as ``submit``, for a call that can be combined with others.

        Args:
            rows: the largest number of rows that its samples can have.
            size: of its samples in bytes.
        """
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[ModelResponse] = self._loop.create_future()
        on_outcome = partial(set_outcome_threadsafe, future)
        now = self._clock()
        submission = self._submit(BatchMember(now, now + self.queue_timeout, call, rows, size, on_outcome), future)
        self._arrivals += 1
        self._start_or_poll()
        return submission

    # The start of a batch, decided on the event loop

    def _start_or_poll(self) -> None:
        """Start the full batches; poll for more calls before a batch that is not full starts."""
        if self._start_full_batches() is not None and self._next_poll is None:
            self._poll_in_next_turn(self._clock(), idle_turns=0)

    def _poll_in_next_turn(self, since: float, idle_turns: int) -> None:
        assert self._loop is not None
        self._next_poll = self._loop.call_soon(self._poll, since, idle_turns, self._arrivals)

    def _poll(self, since: float, idle_turns: int, arrivals: int) -> None:
        """Start a batch, or poll again in the next turn, or when the extra wait is over.

        Polling for longer than a batch takes cannot pay: the calls that wait might have their responses by then.

        Args:
            since: time of the first poll.
            idle_turns: turns before the last poll in which no call had arrived.
            arrivals: number of calls that had arrived by then.
        """
        self._next_poll = None
        first = self._start_full_batches()
        if first is None:
            return
        idle_turns = idle_turns + 1 if arrivals == self._arrivals else 0
        now = self._clock()
        remaining = first.arrived + self.limits.wait - now
        if idle_turns < IDLE_LOOP_TURNS and now <= since + self._last_batch_seconds:
            self._poll_in_next_turn(since, idle_turns)
        elif remaining > 0 and self._loop is not None:
            self._next_poll = self._loop.call_later(remaining, self._poll, since, IDLE_LOOP_TURNS, self._arrivals)
        else:
            self._start_waiting_batch()

    def _start_full_batches(self) -> BatchMember | None:
        """Start all full batches; return the first member of a batch that may start without being full."""
        batches: list[Batch] = []
        with self._lock:
            members, is_full = self._next_members()
            while members and is_full and self._has_free_slot():
                batches.append(self._form_batch(members))
                members, is_full = self._next_members()
            may_start = members and self._may_start_batch()
        for batch in batches:
            self._start(batch)
        return members[0] if may_start else None

    def _start_waiting_batch(self) -> None:
        """Start a batch of the calls that wait, if none runs."""
        with self._lock:
            members, _ = self._next_members()
            batch = self._form_batch(members) if members and self._may_start_batch() else None
        self._start(batch)

    def _may_start_batch(self) -> bool:
        return not self._batches and self._has_free_slot()

    def _start_or_poll_threadsafe(self) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the event loop is closed
                self._loop.call_soon_threadsafe(self._start_or_poll)

    # The queue, under the lock

    def _next_members(self) -> tuple[list[BatchMember], bool]:
        """Return the members of the next batch, and True if no other call would fit in."""
        members: list[BatchMember] = []
        rows = size = 0
        for entry in self._queue:
            if not isinstance(entry, BatchMember):
                continue
            rows += entry.rows
            size += entry.size
            if members and (rows > self.limits.rows or size > self.limits.size):
                return members, True
            members.append(entry)
        return members, rows >= self.limits.rows

    def _form_batch(self, members: list[BatchMember]) -> Batch:
        """Return a batch that has taken a slot and its members from the queue."""
        taken = set(members)
        self._queue = deque(entry for entry in self._queue if entry not in taken)
        function = partial(self._run_members, dict(enumerate(members)))
        batch = Batch(members[0].arrived, members[0].deadline, function, _ignore_outcome)
        batch.facts = members[0].facts
        self._batches += 1
        self.statistics.start_batch(len(members))
        self._recorder.observe(BATCH_SIZE, len(members))
        self._take_slot(batch)  # records the wait of the first member
        for member in members:
            member.state, member.started = State.RUNNING, batch.started
        for member in members[1:]:
            self._record_wait(member, batch.started - member.arrived)
        return batch

    def _may_start(self, entry: QueueEntry) -> bool:
        return not isinstance(entry, BatchMember) and super()._may_start(entry)

    def _admit(self, entry: QueueEntry) -> None:
        """With one slot left, start the waiting batch before admitting another call."""
        if self._queue and self.running == self.concurrency.slots - 1 and not isinstance(entry, BatchMember):
            self._start_waiting_batch()
        super()._admit(entry)

    def _take_queued(self, now: float) -> QueueEntry | None:
        self._reject_expired(now)
        other = next((entry for entry in self._queue if not isinstance(entry, BatchMember)), None)
        if self._queue and self._queue[0] is not other:
            members, is_full = self._next_members()
            if is_full or (not self._batches and (other is not None or self._closed)):
                return self._form_batch(members)
        if other is None:
            return None
        self._queue.remove(other)
        return self._take_slot(other)

    def _release(self, entry: QueueEntry, *, failed: bool = False, paused: bool = False) -> QueueEntry | None:
        following = super()._release(entry, failed=failed, paused=paused)
        if following is None and self._queue:
            self._start_or_poll_threadsafe()
        return following

    def _count_finished(self, entry: QueueEntry, now: float, *, failed: bool) -> None:
        if not isinstance(entry, Batch):
            super()._count_finished(entry, now, failed=failed)
            return
        entry.state = State.FINISHED
        self._batches -= 1
        self._last_batch_seconds = now - entry.started

    def shutdown(self, wait: bool = True, cancel_futures: bool = True) -> None:
        with self._lock:
            self._closed = True
        if not cancel_futures:
            self._start_waiting_batch()  # no other calls will arrive
        super().shutdown(wait, cancel_futures)

    # The work, on a pool thread

    def _run_members(self, members: dict[int, BatchMember]) -> None:
        for member in members.values():
            member.thread = threading.get_ident()
        try:
            for outcome in self.predict_batch([member.call for member in members.values()]):
                self._finish_member(members.pop(outcome.position), outcome.response, outcome.error)
        except BaseException as error:  # no caller may wait for ever
            for member in members.values():
                self._finish_member(member, None, error)

    def _finish_member(self, member: BatchMember, response: ModelResponse | None, error: BaseException | None) -> None:
        with self._lock:
            self._count_finished(member, self._clock(), failed=error is not None)
            self.statistics.finish_call()
        member.set_outcome(response, error)

    def metrics(self) -> dict[str, Any]:
        """Return those of every executor, and ``batching``. A batch holds one slot: it counts as one running call."""
        with self._lock:
            batching = self.statistics.summary()
        return {**super().metrics(), "batching": batching}


def _ignore_outcome(result: None, error: BaseException | None) -> None:
    """Do nothing: the members of a batch have their outcomes."""
