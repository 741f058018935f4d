"""The Python stacks of other threads: file, line and function, never the values of arguments or variables."""

import logging
import sys
import threading
import time
from pathlib import PurePath
from typing import NamedTuple

LOGGED_FRAMES = 12
LOG_INTERVAL = 1.0
"""Seconds between two stacks in the log."""

_MAX_TEXT = 300
_SHOWN_FOLDERS = 3

logger = logging.getLogger(__name__)


class Frame(NamedTuple):
    """One call of a stack."""

    file: str
    line: int
    function: str


def stack_of(thread: int, limit: int) -> list[Frame]:
    """Return the innermost frames of a thread, the innermost last; empty for a thread that has ended."""
    frame = sys._current_frames().get(thread)
    frames: list[Frame] = []
    while frame is not None and len(frames) < limit:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)  # new in Python 3.11
        frames.append(Frame(code.co_filename[-_MAX_TEXT:], frame.f_lineno or 0, name[:_MAX_TEXT]))
        frame = frame.f_back
    frames.reverse()
    return frames


def in_one_line(frames: list[Frame]) -> str:
    """Return a stack for a log line, the innermost call first."""
    calls = (f"{_short(frame.file)}:{frame.line} {frame.function}" for frame in reversed(frames))
    return " < ".join(calls) or "unknown"


def _short(path: str) -> str:
    parts = PurePath(path).parts
    return path if len(parts) <= _SHOWN_FOLDERS else "/".join(parts[-_SHOWN_FOLDERS:])


class StuckCallLog:
    """Logs where a call is that has passed its timeout; at most one stack a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0.0

    def log(self, thread: int, timeout: float, *, what: str = "A prediction") -> None:
        """Log the stack of the thread that runs the call; 0 for a call that has no thread."""
        now = time.monotonic()
        with self._lock:
            if not thread or now < self._next:
                return
            self._next = now + LOG_INTERVAL
        logger.warning(
            "%s still runs after %g s (DRUM_CLIENT_REQUEST_TIMEOUT) and keeps its slot. Its thread is in: %s",
            what,
            timeout,
            in_one_line(stack_of(thread, LOGGED_FRAMES)),
        )


stuck_calls = StuckCallLog()
