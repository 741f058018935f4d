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
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import partial
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar, cast

from datarobot_drum.drum.exceptions import ServerOverloaded
from datarobot_drum.drum.serving.histogram import Histogram

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

WARNING_INTERVAL = 1.0
"""Seconds between two lines about overload; a flood of refusals must not become a flood of logs."""

WAITING, RUNNING, ENDED = "waiting", "running", "ended"


class Ticket(Generic[T]):
    """One call's place in the line. Everything in it is guarded by the executor's lock."""

    __slots__ = ("arrived", "begin", "deadline", "refuse", "started", "state")

    def __init__(self, timeout: float) -> None:
        self.arrived = time.monotonic()
        self.deadline = self.arrived + timeout
        self.started = 0.0
        self.state = WAITING
        self.begin: Callable[[], None]
        self.refuse: Callable[[], None]


class Submission(Awaitable[T]):
    """A call that was handed in from an event loop: await it for the result, or ``leave``.

    ``waiting`` tells whether it stands in the line; only then is it worth watching for a client that leaves.
    """

    def __init__(self, executor: "ExecutorWithBackpressure", ticket: Ticket[T], future: "asyncio.Future[T]") -> None:
        self._executor = executor
        self._ticket = ticket
        self.future = future

    @property
    def waiting(self) -> bool:
        return self._ticket.state == WAITING

    @property
    def started(self) -> bool:
        """Whether the work runs or has run; false for good once the call was refused or has left."""
        return self._ticket.started > 0

    def leave(self) -> None:
        """Waiting work never runs; running work goes on and keeps its slot until it ends."""
        self._executor._leave(self._ticket)

    def __await__(self) -> Generator[Any, None, T]:
        try:
            return (yield from self.future.__await__())
        finally:
            self.leave()


class ExecutorWithBackpressure:
    """A fixed pool of prediction threads behind one waiting line.

    Args:
        max_workers: calls that run at once.
        max_queue_depth: calls that are admitted and wait; whoever comes later waits too, as not admitted.
        queue_timeout: seconds from arrival within which a call must have started; 0 refuses at once.
        thread_name_prefix: of the threads.
    """

    def __init__(
        self,
        max_workers: int = 4,
        max_queue_depth: int = 40,
        queue_timeout: float = 30.0,
        thread_name_prefix: str = "drum-predict",
    ) -> None:
        self.max_workers = max_workers
        self.max_queue_depth = max_queue_depth
        self.queue_timeout = queue_timeout
        self._pool = ThreadPoolExecutor(max_workers, thread_name_prefix)
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._line: deque[Ticket[Any]] = deque()
        self._running = 0
        self._closed = False
        self._warn_after = 0.0
        self._completed = self._failed = self._rejected = self._cancelled = 0
        self.wait_times = Histogram()
        self.run_times = Histogram()

    # From an event loop

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` on a prediction thread, with the caller's context variables.

        Raises:
            ServerOverloaded: it did not start in time, or the executor is shut down.
            Exception: whatever ``work`` raised, unchanged.
        """
        return await self.submit(work, *args, **kwargs)

    def submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Submission[T]:
        """Like ``run``, for a caller that wants to watch its client while the call waits."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        ticket: Ticket[T] = Ticket(self.queue_timeout)
        call = partial(work, *args, **kwargs)
        begin = partial(self._work, ticket, copy_context(), call, loop, future)
        ticket.begin = partial(self._begin_on_thread, begin)
        ticket.refuse = lambda: _tell(loop, future, error=ServerOverloaded())
        if self._enter(ticket):
            ticket.begin()
        elif ticket.state == WAITING:
            timer = loop.call_at(loop.time() + self.queue_timeout, self._expire, ticket)
            future.add_done_callback(lambda _: timer.cancel())
        return Submission(self, ticket, future)

    def _begin_on_thread(self, begin: Callable[[], None]) -> None:
        self._pool.submit(begin)

    def _work(
        self,
        ticket: Ticket[T],
        context: Context,
        call: Callable[[], T],
        loop: asyncio.AbstractEventLoop,
        future: "asyncio.Future[T]",
    ) -> None:
        error: BaseException | None = None
        result: T | None = None
        try:
            result = context.run(call)
        except BaseException as caught:  # the caller gets it; a pool thread must not end
            error = caught
        following = self._end(ticket, failed=error is not None)
        _tell(loop, future, result, error)
        # The traceback holds this frame: without this the work's data would live until the next collection.
        del error, result, call
        if following is not None:
            following.begin()

    # From a synchronous server

    def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same admission for a caller that brings its own thread: ``work`` runs in it.

        Raises:
            ServerOverloaded: it did not start in time, or the executor is shut down.
            Exception: whatever ``work`` raised, unchanged.
        """
        ticket: Ticket[T] = Ticket(self.queue_timeout)
        turn = threading.Event()
        ticket.begin = ticket.refuse = turn.set
        if not self._enter(ticket):
            turn.wait(self.queue_timeout)
            self._expire(ticket)
            if ticket.state != RUNNING:
                raise ServerOverloaded
        failed = True
        try:
            result = work(*args, **kwargs)
            failed = False
        finally:
            following = self._end(ticket, failed=failed)
            if following is not None:
                following.begin()
        return result

    # The line

    def _enter(self, ticket: Ticket[Any]) -> bool:
        """Whether the call may start now; otherwise it waits, or was refused at once."""
        with self._lock:
            if not self._closed and self._running < self.max_workers:
                self._start(ticket)
                return True
            if not self._closed and self.queue_timeout > 0:
                self._line.append(ticket)
                return False
            self._refuse(ticket)
        ticket.refuse()
        return False

    def _start(self, ticket: Ticket[Any]) -> None:
        ticket.state = RUNNING
        ticket.started = time.monotonic()
        self._running += 1
        self.wait_times.record(ticket.started - ticket.arrived)

    def _end(self, ticket: Ticket[Any], *, failed: bool) -> Ticket[Any] | None:
        """Give the slot back, and take the next call that is still in time."""
        now = time.monotonic()
        late: list[Ticket[Any]] = []
        following = None
        with self._lock:
            ticket.state = ENDED
            self._running -= 1
            self._completed += 1
            self._failed += failed
            self.run_times.record(now - ticket.started)
            while self._line and following is None:
                first = self._line.popleft()
                if first.deadline < now:
                    self._refuse(first)
                    late.append(first)
                else:
                    self._start(first)
                    following = first
            if self._running == 0:
                self._idle.notify_all()
        for refused in late:
            refused.refuse()
        return following

    def _refuse(self, ticket: Ticket[Any]) -> None:
        ticket.state = ENDED
        self._rejected += 1

    def _expire(self, ticket: Ticket[Any]) -> None:
        """The deadline has come: refuse the call unless it has started."""
        with self._lock:
            if ticket.state != WAITING:
                return
            self._line.remove(ticket)
            self._refuse(ticket)
            waiting = len(self._line)
            silent = time.monotonic() < self._warn_after
            if not silent:
                self._warn_after = time.monotonic() + WARNING_INTERVAL
        if not silent:
            logger.warning(
                "Overloaded: no thread became free within %.1f s (threads %d, waiting %d, refused so far %d).",
                self.queue_timeout,
                self.max_workers,
                waiting,
                self._rejected,
            )
        ticket.refuse()

    def _leave(self, ticket: Ticket[Any]) -> None:
        """The caller has gone: free its place, if it still waits."""
        with self._lock:
            if ticket.state == WAITING:
                self._line.remove(ticket)
                ticket.state = ENDED
                self._cancelled += 1

    # The end

    def shutdown(self, wait: bool = True, cancel_futures: bool = True) -> None:
        """Refuse new calls, refuse those that wait, and wait for what runs.

        With ``cancel_futures=False`` the calls that wait already are still run.
        """
        with self._lock:
            self._closed = True
            refused = list(self._line) if cancel_futures else []
            if cancel_futures:
                self._line.clear()
            for ticket in refused:
                self._refuse(ticket)
        for ticket in refused:
            ticket.refuse()
        if wait:
            self.wait_idle(threading.TIMEOUT_MAX)
            self._pool.shutdown(wait=True)
        elif cancel_futures:
            # What runs keeps its thread; nothing else is queued in the pool.
            self._pool.shutdown(wait=False)

    def wait_idle(self, timeout: float) -> bool:
        """Block until nothing runs or waits, for at most ``timeout`` seconds; whether it came to that."""
        with self._idle:
            return self._idle.wait_for(lambda: self._running == 0 and not self._line, timeout)

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
        return len(self._line)

    def metrics(self) -> dict[str, Any]:
        """Exact counters since start, per process (http-api.md section 4), and times in seconds."""
        with self._lock:
            pending = self._running + min(len(self._line), self.max_queue_depth)
            return {
                "executor_workers": self.max_workers,
                "executor_max_queue": self.max_queue_depth,
                "executor_pending": pending,
                "executor_queue_available": self.max_workers + self.max_queue_depth - pending,
                "executor_running": self._running,
                "executor_waiting": len(self._line),
                "executor_completed": self._completed,
                "executor_failed": self._failed,
                "executor_rejected": self._rejected,
                "executor_cancelled": self._cancelled,
                "executor_wait_seconds": self.wait_times.summary(),
                "executor_run_seconds": self.run_times.summary(),
            }


def _tell(
    loop: asyncio.AbstractEventLoop,
    future: "asyncio.Future[T]",
    result: T | None = None,
    error: BaseException | None = None,
) -> None:
    """Hand the outcome to the event loop; nobody is there any more once the loop is closed."""
    try:
        loop.call_soon_threadsafe(_settle, future, result, error)
    except RuntimeError:
        logger.debug("A call ended after its event loop was closed.")


def _settle(future: "asyncio.Future[T]", result: T | None, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(cast("T", result))
    elif isinstance(error, StopIteration):
        # Neither a future nor a coroutine can carry it (PEP 479).
        unfit = RuntimeError("The call raised StopIteration.")
        unfit.__cause__ = error
        future.set_exception(unfit)
    else:
        future.set_exception(error)
