"""The parent of several uvicorn workers: starts them, replaces those that die, and passes signals on.

uvicorn's own supervisor leaves a second signal and a failed load without an answer, and tells its exit code from
neither; the rest is the same idea: spawned workers that share one listening socket.
"""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from types import FrameType

from datarobot_drum.drum.exceptions import StartupError

logger = logging.getLogger(__name__)

WORKER_FAILED_TO_START = 3
RESTART_DELAY = 1.0
"""Seconds between the death of a worker and its replacement's start, if it died within its first seconds."""
EARLY_DEATH = 5.0

_SPAWN = multiprocessing.get_context("spawn")


@dataclass
class _Worker:
    process: SpawnProcess
    started: float


class Supervisor:
    """Keeps ``workers`` processes alive on ``listener`` until a signal ends them all.

    Raises:
        ValueError: fewer than one worker.
    """

    def __init__(self, workers: int, listener: socket.socket) -> None:
        if workers < 1:
            raise ValueError("A supervisor needs at least one worker.")
        self._wanted = workers
        self._listener = listener
        self._workers: list[_Worker] = []
        self._signals = 0
        self._failed = False
        self._wakeup_read, self._wakeup_write = os.pipe()

    def run(self) -> int:
        """Supervise until all workers have ended; the exit code of the whole server."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        for _ in range(self._wanted):
            self._start_worker()
        try:
            while self._workers:
                self._wait()
                self._reap()
        finally:
            self._listener.close()
            os.close(self._wakeup_read)
            os.close(self._wakeup_write)
        return 1 if self._failed else os.EX_OK

    @property
    def _stopping(self) -> bool:
        return self._signals > 0 or self._failed

    def _start_worker(self) -> None:
        process = _SPAWN.Process(target=run_worker, args=(self._listener,), name="drum-worker")
        process.start()
        self._workers.append(_Worker(process, time.monotonic()))
        logger.info("Started worker %d.", process.pid)
        if self._stopping and process.pid is not None:
            self._signal(process, signal.SIGTERM)  # the signal came while it was being started

    def _wait(self) -> None:
        sentinels = [worker.process.sentinel for worker in self._workers]
        if self._wakeup_read in connection.wait([*sentinels, self._wakeup_read]):
            os.read(self._wakeup_read, 1024)

    def _reap(self) -> None:
        for worker in [worker for worker in self._workers if not worker.process.is_alive()]:
            worker.process.join()
            self._workers.remove(worker)
            if worker.process.exitcode == WORKER_FAILED_TO_START and not self._stopping:
                logger.error("Worker %d failed to start; stopping the server.", worker.process.pid)
                self._failed = True
                self._signal_all(signal.SIGTERM)
            elif not self._stopping:
                self._replace(worker)
            worker.process.close()

    def _replace(self, worker: _Worker) -> None:
        logger.warning(
            "Worker %d ended with exit code %s; starting another.",
            worker.process.pid,
            worker.process.exitcode,
        )
        if time.monotonic() - worker.started < EARLY_DEATH:
            # A worker that dies at once would otherwise be started in a tight loop.
            connection.wait([self._wakeup_read], RESTART_DELAY)
        if not self._stopping:
            self._start_worker()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self._signal_all(signal.SIGTERM if self._signals == 1 else signal.SIGQUIT)
        os.write(self._wakeup_write, b"x")

    def _signal_all(self, number: signal.Signals) -> None:
        for worker in self._workers:
            self._signal(worker.process, number)

    def _signal(self, process: SpawnProcess, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, ValueError):
            if process.pid is not None:
                os.kill(process.pid, number)


def run_worker(listener: socket.socket) -> None:
    """The whole life of a worker process; settings come from the environment that the parent exported."""
    from datarobot_drum.drum.logs import configure_logging
    from datarobot_drum.drum.settings import settings_from_environment
    from datarobot_drum.drum.uvicorn.server import run_server

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="drum-parent-watch", daemon=True).start()
    try:
        settings = settings_from_environment()
        configure_logging(settings.logging_level)
        run_server(settings, listener, supervised=True)
    except StartupError as error:
        logger.error("%s", error)
        sys.exit(WORKER_FAILED_TO_START)


def _end_with_parent() -> None:
    """A parent that was killed cannot pass a signal on; without it this worker would hold the port for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
