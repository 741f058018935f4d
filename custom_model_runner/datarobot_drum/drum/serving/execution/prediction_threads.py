"""The threads that predictions run in.

``concurrent.futures`` makes a future with a lock and a condition for every call and wakes a thread for each, the one
that slept longest first: more work than a small prediction takes. Here nothing is made for a call. The thread that
worked last, whose core and caches are warm, works first. And threads are woken one after the other, each by the one
before it: of calls that came together, one thread has often done all before a second one would have been awake.
"""

import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

logger = logging.getLogger(__name__)

Work = Callable[[], Any]
"""It may return further work, which the same thread does next, or None."""


class PredictionThreads:
    """Up to ``count`` threads, begun when they are first needed.

    They are daemons: a prediction that never ends must not keep the process from ending. Whoever cares for what runs
    calls ``shutdown``.
    """

    def __init__(self, count: int, name_prefix: str) -> None:
        self._count = count
        self._name_prefix = name_prefix
        self._lock = threading.Lock()
        self._pending: deque[Work] = deque()
        self._threads: list[_Thread] = []
        self._idle: list[_Thread] = []
        self._waking = False
        """Whether a thread is to be woken, or has been and has not looked at what is pending yet."""
        self._wake_call: Callable[[], None] | None = None
        """What wakes that thread, until it is called."""
        self._closed = False

    def submit(self, work: Work, soon: Callable[[Callable[[], None]], object] | None = None) -> None:
        """Run ``work`` as soon as a thread is free.

        Args:
            soon: calls what it is given in a moment. What is submitted until then wakes one thread, once; a thread that
                is woken at once takes the processor from who wakes it, to find that the interpreter is not free.

        Raises:
            RuntimeError: after ``shutdown``.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("The prediction threads are shut down.")
            self._pending.append(work)
            wake = self._choose()
            if wake and soon:
                self._wake_call = wake
        if wake and soon:
            soon(self._wake)
        elif wake:
            wake()

    def _wake(self) -> None:
        with self._lock:
            wake, self._wake_call = self._wake_call, None
        if wake:
            wake()

    @property
    def busy(self) -> int:
        """Threads that do not sleep."""
        with self._lock:
            return len(self._threads) - len(self._idle)

    def shutdown(self, wait: bool = True) -> None:
        """Let every thread end once nothing is pending; ``wait`` until they have."""
        with self._lock:
            self._closed = True
            threads = list(self._threads)
            idle, self._idle = self._idle, []
        for thread in idle:
            thread.wake()
        self._wake()
        if wait:
            for thread in threads:
                thread.join()

    def _choose(self) -> Callable[[], None] | None:
        """What gets one more thread to work, if there is one and none is on its way."""
        if self._waking:
            return None
        if self._idle:
            self._waking = True
            return self._idle.pop().wake
        if len(self._threads) < self._count:
            self._waking = True
            thread = _Thread(f"{self._name_prefix}_{len(self._threads)}", self._serve)
            self._threads.append(thread)
            return thread.start
        return None

    def _serve(self, thread: "_Thread") -> None:
        """The life of a thread."""
        _be_patient()
        awoken = True
        while True:
            wake = None
            with self._lock:
                if awoken:
                    self._waking = False
                if self._pending:
                    work = self._pending.popleft()
                    wake = self._choose() if self._pending else None
                elif self._closed:
                    self._threads.remove(thread)
                    return
                else:
                    work = None
                    self._idle.append(thread)
            if wake:
                wake()
            awoken = work is None
            if work is None:
                thread.sleep()
            else:
                _run(work)
            del work, wake  # a request's data would be held through the sleep


def _be_patient() -> None:
    """Have Linux take this thread for one that computes: it waits for its turn when it is woken.

    Otherwise it pushes aside who runs on its core: the event loop that woke it, to find that this still has the
    interpreter, or a prediction of another worker. It gets no less time than others (sched(7), SCHED_BATCH), two
    workers on two cores answer a fifth more, and event loops are served first. What it begins inherits that.
    """
    if sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_OTHER:
        with suppress(OSError):  # a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _run(work: Work | None) -> None:
    try:
        while work is not None:
            work = work()
    except BaseException:  # calls deliver their own errors; this is ours, and the thread has to live on
        logger.exception("A prediction thread met an error.")


class _Thread:
    """One thread, and the lock on which it sleeps."""

    def __init__(self, name: str, serve: "Callable[[_Thread], None]") -> None:
        self._bell = threading.Lock()
        self._bell.acquire()
        self._thread = threading.Thread(target=serve, args=(self,), name=name, daemon=True)
        self.start = self._thread.start
        self.wake = self._bell.release
        self.sleep = self._bell.acquire

    def join(self) -> None:
        if self._thread is not threading.current_thread():
            self._thread.join()
