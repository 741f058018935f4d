"""Flushing of standard output: Python buffers the output of a model if it goes to a pipe."""

import atexit
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from datarobot_drum.drum.process.worker_ctx import WorkerCtx

IDLE_SECONDS = 0.9
"""Maximum time between two flushes: with the delay after a request it stays below the promised second."""

REQUEST_SECONDS = 0.1
"""Delay from the end of a request to the flush; requests that end meanwhile share it."""

EXIT_SECONDS = 1.0
"""Timeout of the last flush at interpreter exit, if the reader of the pipe does not read."""


class StdoutFlusher:
    """A thread that flushes standard output and standard error after requests, else once a second.

    It is a daemon thread that is stopped at interpreter exit: it must not be frozen while it holds the lock of a
    stream. Threads do not survive a fork: start it in the process that runs the model.
    """

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.periodic_tasks: list[Callable[[], object]] = []
        """Callbacks that run at least once a second; each must be about as fast as a flush."""

    def start(self, worker_ctx: WorkerCtx) -> None:
        """Flush until ``worker_ctx`` stops; a second call has no effect."""
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="drum-stdout-flusher", daemon=True)
        worker_ctx.add_thread(self._thread)
        worker_ctx.defer_stop(self.stop, desc="stop the stdout flusher")
        atexit.register(self._end)
        self._thread.start()

    def request_ended(self) -> None:
        """Flush soon. Called for every request, also from an event loop."""
        if not self._wanted.is_set():
            self._wanted.set()

    def stop(self) -> None:
        """Stop the thread after a last flush, without waiting for it."""
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
    """Flush standard output and standard error; errors of the streams are ignored."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # model code may have closed or replaced the stream
            stream.flush()
