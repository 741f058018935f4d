"""The processes that model code has started: they end with the server."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

CHILD_SECONDS = 5.0
"""Time for the model's processes and threads to end, if the graceful timeout is not shorter."""

POLL_SECONDS = 0.02
PARENT_POLL_SECONDS = 1.0
KILL_SECONDS = 1.0
"""Time for killed processes to disappear."""

_HELPERS = ("multiprocessing.resource_tracker", "datarobot_drum.drum.management.")
"""Modules of processes that end by themselves once their parent has ended, and have work to do then."""


def has_children() -> bool:
    """Return True if this process has any children, its helpers included."""
    lists = list(Path("/proc/self/task").glob("*/children"))
    if not lists:  # this system has no such files
        return bool(_children())
    return any(_read(path) for path in lists)


def end_children(deadline: float) -> None:
    """Send SIGTERM to them, and SIGKILL to those that run at ``deadline``, by the monotonic clock."""
    children = _children()
    if not children:
        return
    _send(signal.SIGTERM, children)
    _wait_for_children(deadline)
    kill_children()


def kill_children() -> None:
    """Send SIGKILL to them, and to those that they start meanwhile."""
    deadline = monotonic() + KILL_SECONDS
    while (children := _children()) and monotonic() < deadline:
        _send(signal.SIGKILL, children)
        sleep(POLL_SECONDS)


def lead_process_group() -> None:
    """Make this worker and its later children a process group, which ``WorkerGroups`` can end without the worker.

    Not at a terminal: a debugger in a hook could not read from it.
    """
    if not os.isatty(0):
        with suppress(OSError):
            os.setpgid(0, 0)


def end_with_parent(parent: int) -> None:
    """Wait until the parent with this id has ended, then stop this process by SIGTERM."""
    while os.getppid() == parent:
        sleep(PARENT_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


class WorkerGroups:
    """Ends what workers leave behind that were killed: their children are orphans, of which only the group is known."""

    def __init__(self) -> None:
        self._kill_at: dict[int, float] = {}

    def end(self, worker: int) -> None:
        """Send SIGTERM to the process group of a worker that has ended."""
        self.poll()
        if _signal_group(worker, signal.SIGTERM):
            self._kill_at[worker] = monotonic() + CHILD_SECONDS

    def poll(self) -> None:
        """Send SIGKILL to groups that still run after ``CHILD_SECONDS``."""
        for worker, kill_at in list(self._kill_at.items()):
            overdue = monotonic() > kill_at
            if not _signal_group(worker, signal.SIGKILL if overdue else 0):
                del self._kill_at[worker]

    def kill(self) -> None:
        """Send SIGKILL to all groups that still run."""
        for worker in self._kill_at:
            _signal_group(worker, signal.SIGKILL)


def kill_worker(worker: int) -> None:
    """Send SIGKILL to a worker and all processes below it."""
    import psutil

    below: list[Any] = []
    with suppress(psutil.Error, OSError):
        below = psutil.Process(worker).children(recursive=True)
    with suppress(OSError):
        os.kill(worker, signal.SIGKILL)
    _signal_group(worker, signal.SIGKILL)
    _send(signal.SIGKILL, below)


def _signal_group(leader: int, number: int) -> bool:
    """Return False if the group has no processes any more."""
    with suppress(OSError):
        os.killpg(leader, number)
        return True
    return False


def _read(path: Path) -> str:
    with suppress(OSError):  # the thread has ended
        return path.read_text(encoding="ascii")
    return ""


def _wait_for_children(deadline: float) -> None:
    while _children() and monotonic() < deadline:
        sleep(POLL_SECONDS)


def _children() -> list[Any]:
    import psutil

    with suppress(psutil.Error, OSError):
        return [process for process in psutil.Process().children(recursive=True) if _is_of_model(process)]
    return []


def _is_of_model(process: Any) -> bool:
    """Return False for zombies, whose parent alone can remove them, and for our own helpers."""
    import psutil

    with suppress(psutil.Error, OSError):
        command = " ".join(process.cmdline())
        return process.status() != psutil.STATUS_ZOMBIE and not any(helper in command for helper in _HELPERS)
    return False


def _send(number: signal.Signals, processes: Iterable[Any]) -> None:
    import psutil

    for process in processes:
        with suppress(psutil.Error, OSError):
            process.send_signal(number)
