"""Admission to the prediction threads, for both adapters.

At most ``max_workers`` calls run and ``max_queue_depth`` more are admitted; whoever comes after them waits in the same
line. First come, first served: one line, one deadline a caller, and a slot that belongs to the work, not to whoever
waits for it. A thread cannot be stopped, so a caller that leaves while its work runs keeps the slot busy until the
work ends.

The line is kept under a lock because a thread that ends a call takes the next one itself, without a detour over the
event loop.
"""

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator
from concurrent.futures import Future as ConcurrentFuture
from concurrent.futures import wait
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from datarobot_drum.drum.exceptions import DeadlineExceeded, ServerOverloaded
from datarobot_drum.drum.serving.execution.futures import discard_result, set_outcome, set_outcome_threadsafe
from datarobot_drum.drum.serving.execution.prediction_threads import PredictionThreads, Work
from datarobot_drum.drum.serving.execution.queue_entries import (
    ENDED,
    RUNNING,
    WAITING,
    CallerThreadEntry,
    QueuedCall,
    QueueEntry,
)
from datarobot_drum.drum.serving.metrics.histogram import Histogram
from datarobot_drum.drum.uvicorn.alarms import Alarms

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

WARNING_INTERVAL = 1.0
"""Seconds between two lines about overload; a flood of refusals must not become a flood of logs."""


class Submission(Awaitable[T]):
    """A call that was handed in from an event loop: await it for the result, or ``leave``.

    ``waiting`` tells whether it stands in the line; only then is it worth watching for a client that leaves.
    """

    def __init__(self, executor: "ExecutorWithBackpressure", ticket: QueueEntry, future: "asyncio.Future[T]") -> None:
        self._executor = executor
        self._ticket = ticket
        self.future = future

    @property
    def is_queued(self) -> bool:
        return self._ticket.state == WAITING

    @property
    def has_started(self) -> bool:
        """Whether the work runs or has run; false for good once the call was refused or has left."""
        return self._ticket.started < math.inf

    def cancel(self) -> None:
        """Waiting work never runs; running work goes on and keeps its slot until it ends. Its outcome is dropped."""
        self._executor._cancel(self._ticket)
        self.future.cancel()

    def time_out(self, timeout: float) -> None:
        """Tell whoever awaits the call ``DeadlineExceeded``, unless it has ended; work that runs keeps its slot."""
        if not self.future.done():
            self._executor._cancel(self._ticket)
            self._executor._count_timeout()
            self.future.set_exception(timeout_error(timeout))

    def __await__(self) -> Generator[Any, None, T]:
        try:
            return (yield from self.future.__await__())
        except asyncio.CancelledError:
            if self.future.done() and not self.future.cancelled() and self.future.exception() is None:
                discard_result(self.future.result())  # it came in the same moment
            raise
        finally:
            self.cancel()
            del self  # an exception's traceback holds this frame, and the future holds the exception


class ExecutorWithBackpressure:
    """A fixed pool of prediction threads behind one waiting line.

    Args:
        max_workers: calls that run at once.
        max_queue_depth: calls that are admitted and wait; whoever comes later waits too, as not admitted.
        queue_timeout: seconds from arrival within which a call must have started; 0 refuses at once.
        thread_name_prefix: of the threads.
        clock: what deadlines and durations are measured with, in seconds.
    """

    def __init__(
        self,
        max_workers: int = 4,
        max_queue_depth: int = 40,
        queue_timeout: float = 30.0,
        thread_name_prefix: str = "drum-predict",
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_workers = max_workers
        self.max_queue_depth = max_queue_depth
        self.queue_timeout = queue_timeout
        self._clock = clock
        self.threads = PredictionThreads(max_workers, thread_name_prefix)
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._watched = False
        """Whether anybody waits for that, or has."""
        self._queue: deque[QueueEntry] = deque()
        self._alarms: Alarms[QueueEntry] = Alarms(queue_timeout, self._on_deadline)
        self._running = 0
        self._closed = False
        self._warn_after = 0.0
        self._completed = self._failed = self._rejected = self._cancelled = self._timed_out = 0
        self.on_running: Callable[[int], None] | None = None
        """Told how many calls run whenever that changes, before a call begins; must be quick."""
        self.collects_calls = False
        """Whether calls that come in one turn of an event loop begin in its next one: they take less time together. To
        be set where nothing keeps the loop from turning."""
        self.wait_times = Histogram()
        self.run_times = Histogram()

    # From an event loop

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` on a prediction thread, with the caller's context variables.

        A result that has a method ``produce`` is handed out at once; the method is called, and the slot is held, until
        it returns: so a streamed answer keeps its slot to its end. Its ``cancel`` is called if nobody waits any more.

        Raises:
            ServerOverloaded: it did not start in time, or the executor is shut down.
            Exception: whatever ``work`` raised, unchanged.
        """
        return await self.submit(work, *args, **kwargs)

    def submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Submission[T]:
        """Like ``run``, for a caller that wants to watch its client while the call waits."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        call: Callable[..., T] = partial(work, *args, **kwargs) if args or kwargs else work
        job = QueuedCall(
            self._clock(), self.queue_timeout, self.threads, self._work, call, partial(set_outcome_threadsafe, future)
        )
        if self._admit(job):
            self.threads.submit(partial(self._work, job), loop.call_soon if self.collects_calls else None)
        elif job.state == WAITING:
            self._watch(job, future)
        return Submission(self, job, future)

    def _watch(self, ticket: QueueEntry, future: "asyncio.Future[T]") -> None:
        """Have the deadline of who waits in the line come, unless ``future`` does before."""
        self._alarms.set(ticket)
        future.add_done_callback(lambda _: self._alarms.forget(ticket))

    def _work(self, job: QueuedCall[Any]) -> Work | None:
        """Do one call, on a prediction thread; returns what the thread does next."""
        result, error = job.run()
        produce = getattr(result, "produce", None)
        if produce is not None:
            error = job.go_on(result, produce)
        following = self._end(job, failed=error is not None)
        if produce is None:
            job.tell(result, error)
        del result, error, produce  # see QueuedCall
        return None if following is None else following.begin_here()

    # From a synchronous server

    def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same admission for a caller that brings its own thread: ``work`` runs in it.

        Raises:
            ServerOverloaded: it did not start in time, or the executor is shut down.
            Exception: whatever ``work`` raised, unchanged.
        """
        with self.slot():
            return work(*args, **kwargs)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot for the ``with`` block, which is the work.

        Raises:
            ServerOverloaded: none became free in time, or the executor is shut down.
        """
        turn = CallerThreadEntry(self._clock(), self.queue_timeout)
        failed = True
        try:
            if not self._admit(turn):
                turn.called.wait(self.queue_timeout)
                self._on_deadline(turn)
            if turn.state != RUNNING:
                raise ServerOverloaded
            yield
            failed = False
        finally:
            self._release(turn, failed=failed)

    def call_with_timeout(self, timeout: float | None, work: Callable[[], T], discard: Callable[[], object]) -> T:
        """Like ``call``, but on a thread of the pool, so that the caller can stop waiting for it.

        Args:
            timeout: seconds after which the caller is let go, None for never; work that runs keeps its slot.
            discard: called in place of ``work`` when that will never run.

        Raises:
            DeadlineExceeded: neither result nor error came in time.
            ServerOverloaded, Exception: as ``call``.
        """
        outcome: ConcurrentFuture[T] = ConcurrentFuture()
        job = QueuedCall(
            self._clock(), self.queue_timeout, self.threads, self._work, work, partial(set_outcome, outcome)
        )
        if self._admit(job):
            job.begin()
        try:
            limit = math.inf if timeout is None else timeout
            wait([outcome], min(limit, self.queue_timeout))
            if limit > self.queue_timeout:
                self._on_deadline(job)
                wait([outcome], None if timeout is None else timeout - self.queue_timeout)
            if not outcome.done():
                self._count_timeout()
                raise timeout_error(limit)
            return outcome.result()
        finally:
            self._cancel(job)
            if job.started == math.inf:
                discard()
            outcome.cancel()
            del outcome  # an exception's traceback holds this frame, and the future holds the exception

    def _release(self, turn: QueueEntry, *, failed: bool) -> None:
        """Give back what the caller has: its slot or, when a signal or a timeout ended its wait, its place."""
        self._cancel(turn)
        following = self._end(turn, failed=failed) if turn.state == RUNNING else None
        if following is not None:
            following.begin()

    # The line

    def _admit(self, ticket: QueueEntry) -> bool:
        """Whether the call may start now; otherwise it waits, or was refused at once."""
        with self._lock:
            if not self._closed and self._running < self.max_workers:
                self._start(ticket)
                return True
            if not self._closed and self.queue_timeout > 0:
                self._queue.append(ticket)
                return False
            self._refuse(ticket)
        ticket.reject()
        return False

    def _start(self, ticket: QueueEntry) -> None:
        ticket.state = RUNNING
        ticket.started = now = self._clock()
        self._running += 1
        if self.on_running:
            self.on_running(self._running)
        self.wait_times.record(now - ticket.arrived)

    def _end(self, ticket: QueueEntry, *, failed: bool) -> QueueEntry | None:
        """Give the slot back, and take the next call that is still in time."""
        now = self._clock()
        late: list[QueueEntry] = []
        with self._lock:
            self._running -= 1
            self._count_end(ticket, now, failed=failed)
            following = self._take_next(now, late)
            if self._running == 0 and self._watched:
                self._idle.notify_all()
            if self.on_running:
                self.on_running(self._running)
            last = self._closed and self._is_idle()
        for refused in late:
            refused.reject()
        if last:
            self.threads.shutdown(wait=False)
        return following

    def _count_end(self, ticket: QueueEntry, now: float, *, failed: bool) -> None:
        ticket.state = ENDED
        self._completed += 1
        self._failed += failed
        self.run_times.record(now - ticket.started)

    def _take_next(self, now: float, late: list[QueueEntry]) -> QueueEntry | None:
        while self._queue:
            first = self._queue.popleft()
            if first.deadline >= now:
                self._start(first)
                return first
            self._refuse(first)
            late.append(first)
        return None

    def _count_timeout(self) -> None:
        with self._lock:
            self._timed_out += 1

    def _refuse(self, ticket: QueueEntry) -> None:
        ticket.state = ENDED
        self._rejected += 1

    def _on_deadline(self, ticket: QueueEntry) -> None:
        """The deadline has come: refuse the call unless it has started."""
        with self._lock:
            if ticket.state != WAITING:
                return
            self._queue.remove(ticket)
            self._refuse(ticket)
            waiting = len(self._queue)
            now = self._clock()
            silent = now < self._warn_after
            if not silent:
                self._warn_after = now + WARNING_INTERVAL
        if not silent:
            logger.warning(
                "Overloaded: no thread became free within %.1f s (threads %d, waiting %d, refused so far %d).",
                self.queue_timeout,
                self.max_workers,
                waiting,
                self._rejected,
            )
        ticket.reject()

    def _cancel(self, ticket: QueueEntry) -> None:
        """The caller has gone: free its place, if it still waits."""
        if ticket.state != WAITING:  # it never waits again
            return
        with self._lock:
            if ticket.state == WAITING:
                self._queue.remove(ticket)
                ticket.state = ENDED
                self._cancelled += 1

    # The end

    def shutdown(self, wait: bool = True, cancel_futures: bool = True) -> None:
        """Refuse new calls, refuse those that wait, and wait for what runs.

        With ``cancel_futures=False`` the calls that wait already are still run.
        """
        with self._lock:
            self._closed = True
            refused = list(self._queue) if cancel_futures else []
            if cancel_futures:
                self._queue.clear()
            for ticket in refused:
                self._refuse(ticket)
            idle = self._is_idle()
        for ticket in refused:
            ticket.reject()
        if wait:
            self.wait_idle()
        if wait or idle:  # otherwise the last call to end lets the threads go
            self.threads.shutdown(wait)

    def wait_idle(self, timeout: float | None = None) -> bool:
        """Block until nothing runs or waits, for at most ``timeout`` seconds; whether it came to that."""
        with self._idle:
            self._watched = True
            return self._idle.wait_for(self._is_idle, timeout)

    def _is_idle(self) -> bool:
        return self._running == 0 and not self._queue

    def __enter__(self) -> "ExecutorWithBackpressure":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    # What it says of itself

    @property
    def running(self) -> int:
        return self._running

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def metrics(self) -> dict[str, Any]:
        """Exact counters since start, per process (http-api.md section 4), and times in seconds."""
        with self._lock:
            pending = self._running + min(len(self._queue), self.max_queue_depth)
            return {
                "executor_workers": self.max_workers,
                "executor_max_queue": self.max_queue_depth,
                "executor_pending": pending,
                "executor_queue_available": self.max_workers + self.max_queue_depth - pending,
                "executor_running": self._running,
                "executor_waiting": len(self._queue),
                "executor_completed": self._completed,
                "executor_failed": self._failed,
                "executor_rejected": self._rejected,
                "executor_cancelled": self._cancelled,
                "executor_timed_out": self._timed_out,
                "executor_wait_seconds": self.wait_times.summary(),
                "executor_run_seconds": self.run_times.summary(),
            }


def timeout_error(timeout: float) -> DeadlineExceeded:
    """What a caller is told whose call did not end within ``timeout`` seconds."""
    return DeadlineExceeded(f"The prediction took longer than {timeout:g} s (DRUM_CLIENT_REQUEST_TIMEOUT).")
