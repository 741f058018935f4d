"""The parent of several uvicorn workers: starts them, replaces those that die or hang, and passes signals on.

uvicorn's own supervisor kills a worker whose GIL is held for five seconds, ignores a second signal and a failed load,
and reports neither by its exit code. The rest is the same: spawned workers that share one listening socket. Only a
supervisor that has loaded the model for its workers forks them.
"""

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from multiprocessing.process import BaseProcess
from types import FrameType

from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.drum.management.management_process import ManagementProcess
from datarobot_drum.drum.management.status import WorkerState, WorkerStatus
from datarobot_drum.drum.process.children import WorkerGroups, end_with_parent, kill_worker, lead_process_group
from datarobot_drum.drum.process.signals import blocked_signals, stop_signals
from datarobot_drum.drum.settings.build import Settings
from datarobot_drum.drum.uvicorn.restart_pauses import HEALTHY_SECONDS, MAX_FAILURES, RestartPauses

logger = logging.getLogger(__name__)

WORKER_FAILED_TO_START = 3
POLL_SECONDS = 1.0
"""Seconds between two checks of the workers' heartbeats."""
CLEAN_EXIT_CODES = (os.EX_OK, -signal.SIGTERM, WORKER_FAILED_TO_START)
"""Exit codes of a worker that are not failures of a stop."""
KILL_MARGIN = 10.0
"""Seconds beyond the graceful timeout after which a worker is killed."""

WORKER = "drum-worker"

CRASH_LOOP = (
    "The workers ended %d times in a row within %g s of their start, the last one with exit code %s (a negative one is "
    "a signal); stopping the server."
)


@dataclass
class _Worker:
    process: BaseProcess
    status: WorkerStatus
    started: float


class Supervisor:
    """Keeps the workers running on ``listener`` until a signal stops them all.

    Args:
        management: holds the rows that the workers report in.
        on_stop: called when the stop begins, perhaps in a signal handler.
        after_fork: called in each worker, which is then a fork of this process with its model; without it, workers
            are spawned.
    """

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        management: ManagementProcess,
        on_stop: Callable[[], object] = lambda: None,
        *,
        after_fork: Callable[[], object] | None = None,
    ) -> None:
        server = settings.server
        self._settings = settings
        self._stop_seconds = server.lame_duck + server.graceful_timeout + KILL_MARGIN
        self._listener = listener
        self._management = management
        self._on_stop = on_stop
        self._after_fork = after_fork
        self._workers: list[_Worker] = []
        self._groups = WorkerGroups()
        self._restarts = RestartPauses()
        self._signals = 0
        self._stop_by = float("inf")
        self._failed = False
        self._forced_shutdown = False
        self._wakeup_read, self._wakeup_write = os.pipe()

    def run(self) -> int:
        """Supervise until all workers have ended; return the exit code of the server."""
        for number in stop_signals():
            signal.signal(number, self._on_signal)
        self._start_missing()
        try:
            while self._workers or not self._stopping:
                self._wait()
                self._management.restart_if_ended()
                self._kill_hung()
                self._reap()
                self._start_missing()
                self._groups.poll()
        finally:
            self._groups.kill()
            self._listener.close()
            os.close(self._wakeup_read)
            os.close(self._wakeup_write)
        return 1 if self._failed or self._forced_shutdown else os.EX_OK

    @property
    def _stopping(self) -> bool:
        return self._signals > 0 or self._failed

    def _start_missing(self) -> None:
        """Start the workers that have ended, or could not be started before."""
        for _ in range(self._settings.workers - len(self._workers)):
            if self._stopping or self._restarts.seconds_left:
                return
            self._start_worker()

    def _start_worker(self) -> None:
        """Start a worker; without memory or process ids, ``_start_missing`` tries again."""
        status = self._management.table.allocate()
        try:
            process = self._start_process(status)
        except OSError as error:
            status.release()
            logger.error("A worker cannot be started (%s); trying again within %g s.", error, POLL_SECONDS)
            return
        self._workers.append(_Worker(process, status, time.monotonic()))
        logger.info("Started worker %d.", process.pid)
        if self._stopping:
            _signal(process, signal.SIGTERM)  # the signal came while the worker was being started

    def _start_process(self, status: WorkerStatus) -> BaseProcess:
        process: BaseProcess
        worker = (self._listener, status, os.getpid())
        if self._after_fork:
            arguments = (*worker, self._become_worker)
            process = multiprocessing.get_context("fork").Process(target=run_worker, args=arguments, name=WORKER)
        else:
            resource_tracker.ensure_running()  # it unblocks signals once, when it starts
            process = multiprocessing.get_context("spawn").Process(target=run_worker, args=worker, name=WORKER)
        # Until a worker has its own handlers, a signal would end it, or run those that a fork has of the supervisor.
        with blocked_signals(*stop_signals()):
            process.start()
        return process

    def _become_worker(self) -> None:
        """Close what belongs to the supervisor, in a fork of it."""
        for number in stop_signals():
            signal.signal(number, signal.SIG_DFL)
        os.close(self._wakeup_read)
        os.close(self._wakeup_write)
        if self._after_fork:
            self._after_fork()

    def _wait(self) -> None:
        sentinels = [worker.process.sentinel for worker in self._workers]
        timeout = min(POLL_SECONDS, self._restarts.seconds_left or POLL_SECONDS)
        if self._wakeup_read in connection.wait([*sentinels, self._wakeup_read], timeout):
            os.read(self._wakeup_read, 1024)
        if self._stopping:
            # With this descriptor open, the kernel would complete connections that no worker accepts any more.
            self._listener.close()

    def _kill_hung(self) -> None:
        overdue = time.monotonic() > self._stop_by
        for worker in self._workers:
            if overdue or self._management.limits.is_hung(worker.status):
                silence = worker.status.silence()
                logger.error("Worker %d hangs (silent for %.0f s); killing it.", worker.process.pid, silence)
                kill_worker(_pid(worker.process))

    def _reap(self) -> None:
        for worker in [worker for worker in self._workers if not worker.process.is_alive()]:
            worker.process.join()
            self._workers.remove(worker)
            has_failed_to_start = worker.process.exitcode == WORKER_FAILED_TO_START or (
                self._settings.arguments["reload"] and worker.status.state is WorkerState.LOADING
            )
            worker.status.release()
            self._groups.end(_pid(worker.process))
            if has_failed_to_start and not self._stopping:
                logger.error("Worker %d failed to start; stopping the server.", worker.process.pid)
                self._failed = True
                self._stop(signal.SIGTERM)
            elif not self._stopping:
                self._count_end(worker)
            elif worker.process.exitcode not in CLEAN_EXIT_CODES:
                self._forced_shutdown = True
            worker.process.close()

    def _count_end(self, worker: _Worker) -> None:
        """Log the end of a worker, and pause before the next start, or stop the server, if the workers crash."""
        self._management.table.count_restart()
        exit_code = worker.process.exitcode
        has_failed = exit_code != os.EX_OK
        logger.log(
            logging.WARNING if has_failed else logging.INFO,
            "Worker %d ended (exit code %s).",
            worker.process.pid,
            exit_code,
        )
        ages = [time.monotonic() - other.started for other in (worker, *self._workers)]
        self._restarts.count_end(ages[0], failed=has_failed, oldest=max(ages))
        if self._restarts.is_crash_loop:
            logger.error(CRASH_LOOP, MAX_FAILURES, HEALTHY_SECONDS, exit_code)
            self._failed = True
            self._stop(signal.SIGTERM)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP and self._signals:
            return  # a terminal and its shell may both send it
        self._signals += 1
        self._stop(signal.SIGTERM if self._signals == 1 else signal.SIGQUIT)
        os.write(self._wakeup_write, b"x")

    def _stop(self, number: signal.Signals) -> None:
        self._management.table.announce_stop()
        self._on_stop()
        seconds = self._stop_seconds if number == signal.SIGTERM else KILL_MARGIN
        self._stop_by = min(self._stop_by, time.monotonic() + seconds)
        for worker in self._workers:
            _signal(worker.process, number)


def _pid(process: BaseProcess) -> int:
    """Return the id of a process that has been started."""
    assert process.pid
    return process.pid


def _signal(process: BaseProcess, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, ValueError):
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, number)


def run_worker(
    listener: socket.socket, status: WorkerStatus, supervisor: int, become_worker: Callable[[], None] = lambda: None
) -> None:
    """Run a worker, in a process of its own; settings come from the environment that the supervisor exported.

    Args:
        supervisor: the id of its process; without it, the worker would hold the port for ever.
        become_worker: called first.
    """
    become_worker()
    status.claim()
    from datarobot_drum.drum.management.metrics_directory import hold_directory
    from datarobot_drum.drum.process.hook_environment import prepare_for_hooks
    from datarobot_drum.drum.process.hook_signals import ignore_signal
    from datarobot_drum.drum.process.logs import configure_logging
    from datarobot_drum.drum.process.signals import exit_process
    from datarobot_drum.drum.settings.build import settings_from_environment
    from datarobot_drum.drum.uvicorn.server import run_server

    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ignore_signal)
    lead_process_group()
    hold_directory()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
    threading.Thread(target=end_with_parent, args=(supervisor,), name="drum-parent-watch", daemon=True).start()
    show_stacktrace = False
    try:
        settings = settings_from_environment()
        show_stacktrace = settings.show_stacktrace
        configure_logging(settings.logging_level, settings.server.log_format)
        prepare_for_hooks(settings, main_thread_runs_hooks=False)
        exit_code = run_server(settings, listener, status, supervised=True)
    except StartupError as error:
        logger.error("%s", error, exc_info=error if show_stacktrace else None)
        exit_code = WORKER_FAILED_TO_START
    exit_process(exit_code)
