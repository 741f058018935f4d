"""A bounded thread pool behind one admission queue, for event loops and for synchronous servers.

A slot belongs to the work: a thread cannot be stopped, so a call whose client disconnects keeps its slot until the work
ends. A lock guards the queue, because a thread that finishes a call starts the next one without the event loop.
"""

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from typing import Any, ParamSpec, TypeVar

from datarobot_drum.drum.exceptions import DeadlineExceeded, ExecutorShutdown, RequestCancelled, ServerOverloaded
from datarobot_drum.drum.serving.execution.concurrency import SAMPLE_SECONDS, FixedConcurrency, Usage
from datarobot_drum.drum.serving.execution.futures import discard_result, set_outcome, set_outcome_threadsafe
from datarobot_drum.drum.serving.execution.queue_entries import (
    CallerThreadEntry,
    QueuedCall,
    QueueEntry,
    ResumedStream,
    State,
)
from datarobot_drum.drum.serving.execution.stacks import stuck_calls
from datarobot_drum.drum.serving.execution.streaming import IncrementalResult
from datarobot_drum.drum.serving.metrics.families import QUEUE_SECONDS, REJECTED
from datarobot_drum.drum.serving.metrics.histogram import Histogram
from datarobot_drum.drum.serving.metrics.recorder import OFF, Recorder

P = ParamSpec("P")
T = TypeVar("T")
Entry = TypeVar("Entry", bound=QueueEntry)

logger = logging.getLogger(__name__)

MAX_PAUSED = 128
"""Streams that may wait for slow clients without a slot; each keeps a thread."""

WARNING_INTERVAL = 1.0
"""Seconds between two log lines about rejected calls."""

OVERLOAD_WARNING = "Overloaded: no thread became free within %.1f s (threads %d, waiting %d, rejected so far %d)."


class Submission(Awaitable[T]):
    """A call submitted from an event loop: await its result, or cancel it."""

    def __init__(self, executor: "ExecutorWithBackpressure", entry: QueueEntry, future: "asyncio.Future[T]") -> None:
        self._executor = executor
        self._entry = entry
        self.future = future

    @property
    def is_queued(self) -> bool:
        return self._entry.state is State.QUEUED

    @property
    def has_started(self) -> bool:
        return self._entry.has_started

    def cancel(self) -> None:
        """Remove the call from the queue. Work that runs keeps its slot to its end; its result is discarded."""
        self._executor._cancel(self._entry)
        self.future.cancel()

    def time_out(self, timeout: float) -> None:
        """Raise ``DeadlineExceeded`` in the awaiting task unless the call is done; running work keeps its slot."""
        if not self.future.done():
            self._executor._cancel(self._entry)
            self.future.set_exception(self._executor._timeout_error(timeout, self._entry))

    def __await__(self) -> Generator[Any, None, T]:
        try:
            return (yield from self.future.__await__())
        except asyncio.CancelledError:
            if self.future.done() and not self.future.cancelled() and self.future.exception() is None:
                discard_result(self.future.result())  # result and cancellation came in the same turn of the loop
            raise
        finally:
            self.cancel()
            del self  # the traceback of an error refers to this frame, and the future to the error


class ExecutorWithBackpressure:
    """A thread pool that runs calls in the order of their arrival and rejects those that cannot start in time.

    Args:
        max_workers: threads, and so the calls that can run at once.
        max_queue_depth: calls that are admitted and wait; later ones wait in the same queue without being admitted.
        queue_timeout: seconds from arrival within which a call must start; 0 rejects at once what cannot start.
        thread_name_prefix: of the pool threads.
        concurrency: how many calls run at once, up to ``max_workers``; without it always that many.
        max_paused: streams that may wait for their clients without a slot. With 0, no other call runs between two
            chunks of a stream.
        recorder: writes the metrics.
        clock: measures deadlines and durations, in seconds.
    """

    def __init__(
        self,
        max_workers: int = 4,
        max_queue_depth: int = 100,
        queue_timeout: float = 30.0,
        thread_name_prefix: str = "drum-predict-",
        *,
        concurrency: FixedConcurrency | None = None,
        max_paused: int = 0,
        recorder: Recorder = OFF,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_workers = max_workers
        self.max_paused = max_paused
        self.max_queue_depth = max_queue_depth
        self.queue_timeout = queue_timeout
        self.on_running: Callable[[int], None] | None = None
        """Called with the number of running calls whenever it changes, before the work starts; must be quick."""
        self.before_call: Callable[[], object] | None = None
        """Called before each call, in its thread and its context."""
        self.concurrency = concurrency or FixedConcurrency(max_workers)
        self._clock = clock
        self._recorder = recorder
        self._pool = ThreadPoolExecutor(max_workers + max_paused, thread_name_prefix, self.concurrency.register_thread)
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._queue: deque[QueueEntry] = deque()
        self._resumed: deque[ResumedStream] = deque()
        self._running: dict[QueueEntry, float] = {}
        """The entries that hold a slot, and since when, in that order."""
        self._slot_seconds = 0.0
        self.paused = 0
        self._sampling_loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._warn_after = 0.0
        self._counts = dict.fromkeys(("completed", "failed", "rejected", "cancelled", "timed_out"), 0)
        self._wait_times, self._run_times = Histogram(), Histogram()

    async def run(self, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of ``func``, called on a pool thread with the caller's context variables.

        An ``IncrementalResult`` is returned at once; the slot is held until its ``produce`` returns, or pauses.

        Raises:
            ServerOverloaded: it did not start in time, or the executor was shut down meanwhile; a ``TimeoutError``.
            ExecutorShutdown: the executor is shut down; a ``RuntimeError``.
            Exception: the error of ``func``, unchanged.
        """
        return await self.submit(func, *args, **kwargs)

    def submit(self, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Submission[T]:
        """Do the same as ``run``, for a caller that watches its client while the call waits."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        function = partial(func, *args, **kwargs) if args or kwargs else func
        now = self._clock()
        call = QueuedCall(now, now + self.queue_timeout, function, partial(set_outcome_threadsafe, future))
        return self._submit(call, future)

    def _submit(self, entry: QueueEntry, future: "asyncio.Future[T]") -> Submission[T]:
        self._admit(entry)
        if entry.state is State.QUEUED:
            timer = future.get_loop().call_later(self.queue_timeout, self._on_deadline, entry)
            future.add_done_callback(lambda _: timer.cancel())
        if self.concurrency.is_sampled and (self._queue or len(self._running) > 1):
            self._start_sampling(future.get_loop())
        return Submission(self, entry, future)

    def call(self, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``func`` in this thread after the same admission; raise the errors of ``run``."""
        with self.slot():
            return func(*args, **kwargs)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot during the ``with`` block, which is the work; raise the errors of ``run``."""
        now = self._clock()
        entry = CallerThreadEntry(now, now + self.queue_timeout)
        failed = True
        try:
            self._admit(entry)
            wait([entry.slot], self.queue_timeout)
            self._on_deadline(entry)
            entry.slot.result()
            if self.before_call:
                self.before_call()
            yield
            failed = False
        finally:
            self._cancel(entry)  # a signal handler may have interrupted the wait
            if entry.has_started:
                self._start(self._release(entry, failed=failed))
            del entry  # the traceback of an error refers to this frame

    def call_with_timeout(self, timeout: float | None, func: Callable[[], T], discard: Callable[[], object]) -> T:
        """Do the same as ``run`` for a thread, and raise ``DeadlineExceeded`` after ``timeout`` seconds.

        Work that runs keeps its slot; ``discard`` is called in place of work that will never run.
        """
        future: Future[T] = Future()
        now = self._clock()
        call = QueuedCall(now, now + self.queue_timeout, func, partial(set_outcome, future))
        try:
            self._admit(call)
            wait([future], self.queue_timeout if timeout is None else min(timeout, self.queue_timeout))
            if timeout is None or timeout > self.queue_timeout:
                self._on_deadline(call)
                wait([future], None if timeout is None else timeout - self.queue_timeout)
            if timeout is not None and not future.done():
                raise self._timeout_error(timeout, call)
            return future.result()
        except BaseException:
            if not future.cancel() and future.exception() is None:
                discard_result(future.result())  # it came in the moment of the timeout
            raise
        finally:
            self._cancel(call)
            if not call.has_started:
                discard()
            del future  # the traceback of an error refers to this frame, and the future to the error

    def _timeout_error(self, timeout: float, entry: QueueEntry) -> DeadlineExceeded:
        if entry.state is State.RUNNING:
            stuck_calls.log(entry.thread, timeout)
        with self._lock:
            self._counts["timed_out"] += 1
        self._recorder.add(REJECTED, label="request_timeout")
        return DeadlineExceeded(f"The prediction took longer than {timeout:g} s (DRUM_CLIENT_REQUEST_TIMEOUT).")

    def _admit(self, entry: QueueEntry) -> None:
        """Start the entry, queue it, or reject it."""
        with self._lock:
            if self._closed:
                self._reject(entry, "shutdown", ExecutorShutdown())
            elif self._may_start(entry):
                self._take_slot(entry)
            elif self.queue_timeout > 0:
                self._queue.append(entry)
            else:
                self._reject(entry, "no_free_slot")
            is_started = entry.has_started
        if is_started:
            self._start(entry)

    def _may_start(self, entry: QueueEntry) -> bool:
        return self._has_free_slot()

    def _has_free_slot(self) -> bool:
        return len(self._running) < self.concurrency.slots

    def _take_slot(self, entry: Entry) -> Entry:
        entry.state = State.RUNNING
        entry.started = now = self._clock()
        if isinstance(entry, ResumedStream):
            self._running[entry.call] = now
        else:
            self._running[entry] = now
            self._record_wait(entry, now - entry.arrived)
        if self.on_running:
            self.on_running(self.running)
        return entry

    def _record_wait(self, entry: QueueEntry, seconds: float) -> None:
        if entry.facts is not None:
            entry.facts.queue_seconds = seconds
        self._wait_times.record(seconds)
        self._recorder.observe(QUEUE_SECONDS, seconds)

    def _start(self, entry: QueueEntry | None) -> None:
        """Start the work of an entry that has taken a slot."""
        if isinstance(entry, QueuedCall):
            self._pool.submit(self._run_calls, entry)
        elif isinstance(entry, CallerThreadEntry):
            entry.slot.set_result(None)

    def _run_calls(self, entry: QueueEntry | None) -> None:
        """Run a call on a pool thread, and those that take over its slot."""
        while isinstance(entry, QueuedCall):
            entry = self._run_call(entry)
        self._start(entry)

    def _run_call(self, call: QueuedCall) -> QueueEntry | None:
        """Run one call; return the entry that takes over its slot. The slot is free before the caller is notified."""
        result, error, context = None, None, call.context
        call.thread = threading.get_ident()
        try:
            if self.before_call:
                context.run(self.before_call)
            result = context.run(call.function)
            if isinstance(result, IncrementalResult):
                call.set_outcome(result, None)
                error = context.run(result.produce, partial(self._pause, call))
        except BaseException as raised:  # it belongs to the caller
            error = raised
        following = self._release(call, failed=error is not None and not isinstance(error, RequestCancelled))
        if not isinstance(result, IncrementalResult):
            call.set_outcome(result, error)
        del result, error, context  # the traceback of an error refers to this frame
        return following

    @contextmanager
    def _pause(self, call: QueuedCall) -> Iterator[None]:
        """Free the slot of a stream during the ``with`` block; take one at its end, before the calls in the queue."""
        with self._lock:
            may_pause = self.paused < self.max_paused
            self.paused += may_pause
        if not may_pause:
            yield
            return
        self._start(self._release(call, paused=True))
        try:
            yield
        finally:
            self._resume(call)

    def _resume(self, call: QueuedCall) -> None:
        stream = ResumedStream(self._clock(), math.inf, call)
        with self._lock:
            self.paused -= 1
            is_free = self._has_free_slot()
            if is_free:
                self._take_slot(stream)
            else:
                self._resumed.append(stream)
        if not is_free:
            stream.slot.result()

    def _release(self, entry: QueueEntry, *, failed: bool = False, paused: bool = False) -> QueueEntry | None:
        """Free the slot of an entry that has finished or pauses; return the entry that has taken it, to be started."""
        with self._lock:
            now = self._clock()
            self._slot_seconds += now - self._running.pop(entry)
            if not paused:
                self._count_finished(entry, now, failed=failed)
            following = self._take_next(now) if self._has_free_slot() else None
            if self.on_running:
                self.on_running(self.running)
            if self._is_idle():
                self._idle.notify_all()
                if self._closed:
                    self._pool.shutdown(wait=False)
        return following

    def _count_finished(self, entry: QueueEntry, now: float, *, failed: bool) -> None:
        entry.state = State.FINISHED
        self._counts["completed"] += 1
        self._counts["failed"] += failed
        self._run_times.record(now - entry.started)

    def _take_next(self, now: float) -> QueueEntry | None:
        """Give the slot to a stream that was paused, else to a call in the queue."""
        return self._take_slot(self._resumed.popleft()) if self._resumed else self._take_queued(now)

    def _take_queued(self, now: float) -> QueueEntry | None:
        """Reject expired entries, then give the slot to the first one."""
        self._reject_expired(now)
        return self._take_slot(self._queue.popleft()) if self._queue else None

    def _start_sampling(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sample while calls wait, or run beside one another; an idle server has no timer."""
        with self._lock:
            if self._sampling_loop is None or self._sampling_loop.is_closed():
                self._sampling_loop = loop
                self.concurrency.start_sampling(self._usage())
                loop.call_later(SAMPLE_SECONDS, self._sample)

    def _sample(self) -> None:
        """Adapt the number of slots; start the calls that get one, since no call that ends may do it."""
        started = []
        with self._lock:
            usage = self._usage()
            self.concurrency.sample(usage)
            while self._has_free_slot() and (entry := self._take_next(usage.now)):
                started.append(entry)
            if self._sampling_loop and (self._queue or len(self._running) > 1):
                self._sampling_loop.call_later(SAMPLE_SECONDS, self._sample)
            else:
                self._sampling_loop = None
        for entry in started:
            self._start(entry)

    def _usage(self) -> Usage:
        waiting = len(self._queue) + len(self._resumed)
        return Usage(
            self._clock(), self._counts["completed"], self._slot_seconds, list(self._running.values()), waiting
        )

    def _reject_expired(self, now: float) -> None:
        """Reject entries whose deadline has passed."""
        while self._queue and self._queue[0].deadline < now:
            self._reject(self._queue.popleft(), "queue_timeout")

    def _reject(self, entry: QueueEntry, reason: str, error: Exception | None = None) -> None:
        """Reject an entry, with ``ServerOverloaded`` unless there is another error."""
        entry.state = State.NEVER_RUN
        self._counts["rejected"] += 1
        self._recorder.add(REJECTED, label=reason)
        entry.reject(error or ServerOverloaded())

    def _cancel(self, entry: QueueEntry) -> None:
        """Remove the entry from the queue if it still waits."""
        with self._lock:
            if entry.state is State.QUEUED:
                self._queue.remove(entry)
                entry.state = State.NEVER_RUN
                self._counts["cancelled"] += 1

    def _on_deadline(self, entry: QueueEntry) -> None:
        """Reject the entry if it still waits."""
        with self._lock:
            if entry.state is not State.QUEUED:
                return
            self._queue.remove(entry)
            self._reject(entry, "queue_timeout")
            now = self._clock()
            if now < self._warn_after:
                return
            self._warn_after = now + WARNING_INTERVAL
        logger.warning(OVERLOAD_WARNING, self.queue_timeout, self.max_workers, self.waiting, self._counts["rejected"])

    def shutdown(self, wait: bool = True, cancel_futures: bool = True) -> None:
        """Reject new calls, and those that wait unless ``cancel_futures`` is False, and wait for the others."""
        with self._lock:
            self._closed = True
            while cancel_futures and self._queue:
                self._reject(self._queue.popleft(), "shutdown")
            is_idle = self._is_idle()
        if wait:
            self.wait_idle()
        if wait or is_idle:  # otherwise the last call to finish ends the pool
            self._pool.shutdown(wait)

    def wait_idle(self, timeout: float | None = None) -> bool:
        """Block until no call runs or waits; return False if that takes longer than ``timeout`` seconds."""
        with self._idle:
            return self._idle.wait_for(self._is_idle, timeout)

    def _is_idle(self) -> bool:
        return self.running == self.paused == 0 and not self._queue

    def __enter__(self) -> "ExecutorWithBackpressure":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def sample_metrics(self) -> None:
        """Set the gauges; called about once a second."""
        running = self.running
        slots = {"running": running, "free": max(0, self.concurrency.slots - running), "paused": self.paused}
        self._recorder.sample(len(self._queue), slots)

    async def get_metrics(self) -> dict[str, Any]:
        """Return the same as ``metrics``."""
        return self.metrics()

    def metrics(self) -> dict[str, Any]:
        """Return exact counts since the start, and times in seconds, under their keys in ``/stats/``."""
        with self._lock:
            pending = self.running + self.paused + len(self._resumed) + min(len(self._queue), self.max_queue_depth)
            return {
                "executor_workers": self.max_workers,
                "executor_max_queue": self.max_queue_depth,
                "executor_pending": pending,
                "executor_queue_available": max(0, self.max_workers + self.max_queue_depth - pending),
                "executor_concurrency": self.concurrency.slots,
                "executor_concurrency_mode": self.concurrency.mode,
                "executor_running": self.running,
                "executor_paused": self.paused,
                "executor_waiting": len(self._queue),
                **{f"executor_{name}": count for name, count in self._counts.items()},
                "executor_wait_seconds": self._wait_times.summary(),
                "executor_run_seconds": self._run_times.summary(),
            }
