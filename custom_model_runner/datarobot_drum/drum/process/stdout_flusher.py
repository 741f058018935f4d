"""What a model prints shows up at once, though Python holds output back that goes to a pipe."""

import atexit
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from datarobot_drum.drum.process.worker_ctx import WorkerCtx

IDLE_SECONDS = 0.9
"""Longest time between two flushes: with the pause after a request it stays below the second that is promised."""

REQUEST_SECONDS = 0.1
"""Time from the end of a request to the flush; requests that end meanwhile share it."""

EXIT_SECONDS = 1.0
"""How long the exit of the interpreter waits for a flush that nobody reads."""


class StdoutFlusher:
    """A thread that flushes standard output and standard error: after requests, and once a second without any.

    It is a daemon, stopped at the latest when the interpreter exits, so it neither keeps a process alive nor is frozen
    while it holds the lock of a stream. Threads do not survive a fork: start it in the process that runs the model.
    """

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.periodic_tasks: list[Callable[[], object]] = []
        """What else is to be done once a second, at most, and takes no longer than a flush."""

    def start(self, worker_ctx: WorkerCtx) -> None:
        """Flush until ``worker_ctx`` stops; a second start changes nothing."""
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="drum-stdout-flusher", daemon=True)
        worker_ctx.add_thread(self._thread)
        worker_ctx.defer_stop(self.stop, desc="stop the stdout flusher")
        atexit.register(self._end)
        self._thread.start()

    def request_ended(self) -> None:
        """Flush soon. Called for every request, from an event loop too."""
        if not self._wanted.is_set():
            self._wanted.set()

    def stop(self) -> None:
        """End the thread, after a last flush; does not wait for it."""
        self._stopped.set()
        self._wanted.set()
        atexit.unregister(self._end)

    def _end(self) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join(EXIT_SECONDS)

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self._wanted.wait(IDLE_SECONDS):
                self._stopped.wait(REQUEST_SECONDS)
                self._wanted.clear()
            flush_output()
            for task in self.periodic_tasks:
                task()
        flush_output()


def flush_output() -> None:
    """Flush what ``print`` and tracebacks go to at this moment; nothing that a stream does is an error here."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # model code may have closed it, or put an object of its own in its place
            stream.flush()
