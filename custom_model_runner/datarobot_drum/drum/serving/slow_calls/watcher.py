"""Finds slow predictions, and samples the stacks of their threads while they run.

One thread sleeps until the next running call becomes slow. A call that is not slow costs two entries of a dict.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime, timezone
from types import TracebackType
from typing import Any

from datarobot_drum.drum.iterators import close_iterator
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.serving.execution.stacks import Frame, in_one_line, stack_of
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.slow_calls.reports import (
    FAILED,
    FINISHED,
    RUNNING,
    ReportWriter,
    reports_of_process,
)
from datarobot_drum.drum.tracing.request_id import request_id
from datarobot_drum.drum.tracing.spans import trace_fields

Handle = Callable[[ModelRequest], ModelResponse]

MAX_FRAMES = 40
LOGGED_FRAMES = 3
LOG_INTERVAL = 1.0
"""Seconds between two log lines about slow predictions."""

logger = logging.getLogger(__name__)


class WatchedCall:
    """A call that may become slow; a context manager around it, in its thread."""

    def __init__(self, watcher: SlowCallWatcher, route: str) -> None:
        self._watcher = watcher
        self.route = route
        self.rows: int | None = None
        self.samples: list[tuple[float, list[Frame]]] = []
        """The first stack and the last one, each with the seconds until then."""

    def __enter__(self) -> WatchedCall:
        self.thread = threading.get_ident()
        self.context = copy_context()
        self.started = time.monotonic()
        self.next_sample = self.started + self._watcher.seconds
        self._watcher.begin(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watcher.end(self, failed=error is not None and not isinstance(error, StopIteration))


class SlowCallWatcher:
    """Watches the calls of one worker.

    Args:
        seconds: after which a call is slow.
    """

    def __init__(self, seconds: float, reports: ReportWriter | None = None) -> None:
        self.seconds = seconds
        self._reports = reports or ReportWriter(reports_of_process())
        self._running: dict[int, WatchedCall] = {}
        """The calls by thread: one runs no other watched call."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_idle = False
        self._stopped = False
        self._log_at = 0.0
        self._thread: threading.Thread | None = None

    def start(self, worker_ctx: WorkerCtx) -> None:
        """Watch until ``worker_ctx`` stops. Threads do not survive a fork: start it in the process that predicts."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="drum-slow-calls", daemon=True)
            worker_ctx.defer_cleanup(self.stop, desc="stop the watch of slow predictions")
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        self._wake.set()

    def watch(self, route: str) -> WatchedCall:
        """Return a context manager for a call."""
        return WatchedCall(self, route)

    def wrap(self, route: str, handle: Handle) -> Handle:
        """Return a handler whose calls are watched, and each step of whose streams."""

        def watched(request: ModelRequest) -> ModelResponse:
            with self.watch(route):
                response = handle(request)
            if isinstance(response.content, bytes):
                return response
            return replace(response, content=_WatchedContent(self, route, response.content))

        return watched

    def note_samples(self, data: Any) -> None:
        """Note the rows of the call that this thread runs."""
        call, shape = self._running.get(threading.get_ident()), getattr(data, "shape", None)
        if call is not None and shape:
            call.rows = int(shape[0])

    # The threads of calls

    def begin(self, call: WatchedCall) -> None:
        """Watch a call from now on."""
        self._running[call.thread] = call
        if self._is_idle:
            self._wake.set()

    def end(self, call: WatchedCall, *, failed: bool) -> None:
        """Watch a call no longer; report it if it was slow."""
        self._running.pop(call.thread, None)
        seconds = time.monotonic() - call.started
        if seconds < self.seconds:
            return
        with self._lock:
            self._reports.write(call, _document(call, FAILED if failed else FINISHED, seconds))
            self._reports.release(call)
        if not call.samples:
            self._log(call, f"took {seconds:.1f} s")

    # The thread of the watcher

    def _run(self) -> None:
        while not self._stopped:
            now = time.monotonic()
            calls = tuple(self._running.values())
            for call in calls:
                if call.next_sample <= now:
                    self._sample(call)
            due = min((call.next_sample for call in calls), default=math.inf)
            self._is_idle = due == math.inf
            if self._is_idle and self._running:
                continue  # it began before the flag was set
            self._wake.wait(None if self._is_idle else max(0.0, due - now))
            self._wake.clear()

    def _sample(self, call: WatchedCall) -> None:
        stack = stack_of(call.thread, MAX_FRAMES)
        seconds = time.monotonic() - call.started
        call.next_sample = call.started + 2 * max(seconds, self.seconds)
        with self._lock:
            if self._running.get(call.thread) is not call:
                return  # it has ended, and the stack may be that of another call
            is_first = not call.samples
            call.samples = [*call.samples[:1], (seconds, stack)]
            self._reports.write(call, _document(call, RUNNING, seconds))
        if is_first:
            self._log(call, f"still runs after {seconds:.1f} s")

    def _log(self, call: WatchedCall, duration: str) -> None:
        now = time.monotonic()
        with self._lock:
            if now < self._log_at:
                return
            self._log_at = now + LOG_INTERVAL
        stack = call.samples[-1][1] if call.samples else []
        where = (
            f"It is in: {in_one_line(stack[-LOGGED_FRAMES:])}"
            if stack
            else "It held the GIL, or ended, before its stack was taken."
        )
        rows = "" if call.rows is None else f", {call.rows} rows"
        text = "Slow prediction (DRUM_SLOW_SECONDS): %s%s %s. %s"
        call.context.run(logger.warning, text, call.route, rows, duration, where)


class _WatchedContent(Iterator[bytes]):
    """Streamed content of which each step is watched, but not the time in between, which is the client's."""

    def __init__(self, watcher: SlowCallWatcher, route: str, content: Iterable[bytes]) -> None:
        self._watcher = watcher
        self._route = route
        self._content = iter(content)

    def __next__(self) -> bytes:
        with self._watcher.watch(self._route):
            return next(self._content)

    def close(self) -> None:
        close_iterator(self._content)


def _document(call: WatchedCall, state: str, seconds: float) -> dict[str, Any]:
    return {
        "state": state,
        "started": datetime.fromtimestamp(time.time() - seconds, timezone.utc).isoformat(timespec="milliseconds"),
        "seconds": round(seconds, 3),
        "route": call.route,
        "rows": call.rows,
        "request_id": call.context[request_id] if request_id in call.context else None,
        **call.context.copy().run(trace_fields),
        "pid": os.getpid(),
        "samples": [
            {"seconds": round(after, 3), "stack": [frame._asdict() for frame in stack]} for after, stack in call.samples
        ],
    }
