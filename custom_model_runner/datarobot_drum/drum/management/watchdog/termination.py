"""Ending the processes of one server, and no others."""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

KILL_SECONDS = 2.0
POLL_SECONDS = 0.05


class ProcessTree:
    """A process and all below it but the caller; a later process with the same id is not part of it."""

    def __init__(self, root_pid: int) -> None:
        import psutil

        self._psutil = psutil
        self.root = psutil.Process(root_pid)

    def pids(self) -> list[int]:
        return [process.pid for process in self.processes()]

    def processes(self) -> list[Any]:
        """Return what of it runs now, the root first."""
        with suppress(self._psutil.NoSuchProcess):
            below = self.root.children(recursive=True)
            return [self.root, *(process for process in below if process.pid != os.getpid())]
        return []

    def terminate(self, grace: float) -> None:
        """Send SIGTERM, from the root down so that nothing is replaced; then SIGKILL to the rest, the root last.

        So the root has time to end with an exit code of its own once its workers have ended.
        """
        signalled = self.processes()
        self._send(signal.SIGTERM, signalled)
        self._wait(signalled, grace)
        below = {*signalled, *self.processes()} - {self.root}
        self._send(signal.SIGKILL, below)
        if not self._wait([*below, self.root], KILL_SECONDS):
            self._send(signal.SIGKILL, [self.root])

    def _send(self, number: signal.Signals, processes: Iterable[Any]) -> None:
        for process in processes:
            with suppress(self._psutil.NoSuchProcess, self._psutil.AccessDenied):
                process.send_signal(number)

    def _wait(self, processes: Iterable[Any], timeout: float) -> bool:
        """Wait until all have ended; return whether they have."""
        deadline = time.monotonic() + timeout
        while any(self._runs(process) for process in processes):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _runs(self, process: Any) -> bool:
        try:
            # An ended process is a zombie until its parent reaps it, and a parent that hangs never does.
            return bool(process.is_running() and process.status() != self._psutil.STATUS_ZOMBIE)
        except self._psutil.NoSuchProcess:
            return False
