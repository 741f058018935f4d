"""Ends the processes of one server, and no others."""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

INIT = 1
"""The first process of a machine or container."""

LAST_SIGNAL = signal.SIGABRT
"""Ends a container's first process, which SIGKILL does not."""

KILL_SECONDS = 2.0
LOOK_SECONDS = 0.05


class ProcessTree:
    """A process and everything below it but the caller, told from processes that got their ids later."""

    def __init__(self, root_pid: int) -> None:
        import psutil

        self._psutil = psutil
        self.root = psutil.Process(root_pid)

    def pids(self) -> list[int]:
        return [process.pid for process in self.processes()]

    def processes(self) -> list[Any]:
        """Whatever of it runs now, the root first."""
        with suppress(self._psutil.NoSuchProcess):
            below = self.root.children(recursive=True)
            return [self.root, *(process for process in below if process.pid != os.getpid())]
        return []

    def terminate(self, grace: float) -> None:
        """SIGTERM, from the root down so that nothing is replaced; SIGKILL for what is left, the root last.

        The root thus has the time to end with an exit code of its own once its workers are gone.
        """
        told = self.processes()
        self._send(signal.SIGTERM, told)
        self._wait(told, grace)
        below = {*told, *self.processes()} - {self.root}
        self._send(signal.SIGKILL, below)
        if not self._wait([*below, self.root], KILL_SECONDS):
            self._send(signal.SIGKILL, [self.root])
            if not self._wait([self.root], KILL_SECONDS) and self.root.pid == INIT:
                self._send(LAST_SIGNAL, [self.root])

    def _send(self, number: signal.Signals, processes: Iterable[Any]) -> None:
        for process in processes:
            with suppress(self._psutil.NoSuchProcess, self._psutil.AccessDenied):
                process.send_signal(number)

    def _wait(self, processes: Iterable[Any], timeout: float) -> bool:
        """Wait until they have ended; whether they have."""
        deadline = time.monotonic() + timeout
        while any(self._runs(process) for process in processes):
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_SECONDS)
        return True

    def _runs(self, process: Any) -> bool:
        try:
            # What has ended stays a zombie until its parent asks, and a parent that hangs never does.
            return bool(process.is_running() and process.status() != self._psutil.STATUS_ZOMBIE)
        except self._psutil.NoSuchProcess:
            return False
