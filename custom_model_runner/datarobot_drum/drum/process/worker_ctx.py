"""The life cycle of a worker process, the same for all server types."""

import heapq
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from itertools import count
from typing import Any, Protocol

logger = logging.getLogger(__name__)

THREAD_JOIN_SECONDS = 5.0


class _Closeable(Protocol):
    def close(self) -> object: ...


class _Greenlet(Protocol):
    def kill(self) -> object: ...


class _Phase(Enum):
    NEW = "new"
    RUNNING = "running"
    STOPPED = "stopped"
    CLEANED = "cleaned"


class WorkerCtx:
    """The resources of a worker, and the order in which they are released.

    ``start`` makes the worker ready for traffic. ``stop`` ends threads, greenlets and deferred stops. ``cleanup``
    releases the rest. All three may be called twice.
    """

    def __init__(self) -> None:
        self.server_pid = os.getpid()
        """The process that a supervisor signals: this one, or the parent of all workers."""
        self._lock = threading.Lock()
        self._phase = _Phase.NEW
        self._draining = False
        self._order = count()
        self._threads: list[threading.Thread] = []
        self._greenlets: list[_Greenlet] = []
        self._drains: list[tuple[str, Callable[[], object]]] = []
        self._stops: list[tuple[str, Callable[[], object]]] = []
        self._cleanups: list[tuple[int, int, str, Callable[[], object]]] = []
        self._async_cleanups: list[tuple[str, Callable[[], Awaitable[object]]]] = []
        self._metrics: Callable[[], Mapping[str, Any]] | None = None

    @property
    def is_running(self) -> bool:
        """True between ``start`` and the first of ``drain`` and ``stop``; ``/readyz`` checks it first."""
        return self._phase is _Phase.RUNNING and not self._draining

    @property
    def is_draining(self) -> bool:
        """True once the worker is about to stop."""
        return self._draining

    def drain(self) -> None:
        """Fail readiness from now on. Takes no lock, so a signal handler may call it."""
        if not self._draining:
            self._draining = True
            for desc, fn in self._drains:
                _attempt(desc, fn)

    def start(self) -> None:
        """Make the worker ready."""
        with self._lock:
            if self._phase is _Phase.NEW:
                self._phase = _Phase.RUNNING

    def stop(self) -> None:
        """Fail readiness, run the deferred stops (last deferred first), kill greenlets and join threads."""
        with self._lock:
            if self._phase in (_Phase.STOPPED, _Phase.CLEANED):
                return
            self._phase = _Phase.STOPPED
        for desc, stop in reversed(self._stops):
            _attempt(desc, stop)
        for greenlet in self._greenlets:
            _attempt("kill greenlet", greenlet.kill)
        for thread in self._threads:
            if thread is not threading.current_thread() and thread.is_alive():
                thread.join(THREAD_JOIN_SECONDS)
                if thread.is_alive():
                    logger.warning("Thread %s did not stop in time.", thread.name)

    def cleanup(self) -> None:
        """Run the deferred cleanups, higher order first; of equal order, the later one first."""
        self.stop()
        with self._lock:
            if self._phase is _Phase.CLEANED:
                return
            self._phase = _Phase.CLEANED
        while self._cleanups:
            _, _, desc, clean = heapq.heappop(self._cleanups)
            _attempt(desc, clean)

    async def cleanup_async(self) -> None:
        """Run the asynchronous cleanups, then ``cleanup``."""
        self.stop()
        while self._async_cleanups:
            desc, clean = self._async_cleanups.pop()
            try:
                await clean()
            except Exception:  # the following steps must run whatever is raised
                logger.exception("Worker shutdown step failed: %s.", desc)
        self.cleanup()

    def add_thread(self, thread: threading.Thread) -> None:
        """Join the thread in ``stop``; use ``defer_stop`` to end it."""
        self._threads.append(thread)

    def add_greenlet(self, greenlet: _Greenlet) -> None:
        """Kill the greenlet in ``stop``."""
        self._greenlets.append(greenlet)

    def add_closeable(self, closeable: _Closeable, order: int = 0, desc: str = "") -> None:
        """Close the object in ``cleanup``."""
        self.defer_cleanup(closeable.close, order, desc or f"close {type(closeable).__name__}")

    def defer_drain(self, fn: Callable[[], object], desc: str = "") -> None:
        """Run ``fn`` in ``drain``, possibly in a signal handler."""
        self._drains.append((desc or _name(fn), fn))

    def defer_stop(self, fn: Callable[[], object], desc: str = "") -> None:
        """Run ``fn`` in ``stop``."""
        self._stops.append((desc or _name(fn), fn))

    def defer_cleanup(self, fn: Callable[[], object], order: int = 0, desc: str = "") -> None:
        """Run ``fn`` in ``cleanup``; higher ``order`` runs first."""
        heapq.heappush(self._cleanups, (-order, -next(self._order), desc or _name(fn), fn))

    def defer_async_cleanup(self, fn: Callable[[], Awaitable[object]], desc: str = "") -> None:
        """Await ``fn`` in ``cleanup_async``, last deferred first; never called without an event loop."""
        self._async_cleanups.append((desc or _name(fn), fn))

    def set_backpressure_metrics(self, metrics: Callable[[], Mapping[str, Any]]) -> None:
        self._metrics = metrics

    def get_backpressure_metrics(self) -> dict[str, Any]:
        """Return the executor's metrics, merged into ``/stats/``; empty without an executor."""
        return dict(self._metrics()) if self._metrics else {}


def _name(fn: Callable[[], object]) -> str:
    return getattr(fn, "__qualname__", type(fn).__name__)


def _attempt(desc: str, fn: Callable[[], object]) -> None:
    """Call ``fn`` and log its errors, so that the following steps run."""
    try:
        fn()
    except (Exception, SystemExit):  # the following steps must run whatever is raised
        logger.exception("Worker shutdown step failed: %s.", desc)
