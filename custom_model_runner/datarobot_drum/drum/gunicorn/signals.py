"""Signal handlers of gunicorn's master and its workers, so that it stops as the other servers do.

gunicorn itself ends the requests in flight at Ctrl-C and ignores a second SIGTERM. A sync worker whose master was
killed keeps the port until its next request. If two workers fail to boot, the second one interrupts the stop.
"""

import os
import signal
import threading
from collections.abc import Callable
from itertools import count
from types import FrameType
from typing import Any

from gunicorn.errors import HaltServer

from datarobot_drum.drum.process.children import end_with_parent, kill_worker
from datarobot_drum.drum.process.hook_signals import ignore_signal


def install_master_handlers(arbiter: Any, on_stop: Callable[[], object], on_child_exit: Callable[[], object]) -> None:
    """Make the first SIGTERM or SIGINT drain, and a second one stop at once.

    Args:
        on_stop: called at the first signal, in its handler.
        on_child_exit: called when a child of the master has ended, in the signal's handler; it must not log.
    """
    master = os.getpid()
    signals = count(1)
    reap: Any = signal.getsignal(signal.SIGCHLD)

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != master:
            os._exit(os.EX_OK)  # a fork that has no handlers of its own yet
        if next(signals) == 1:
            on_stop()
            arbiter.signal(signal.SIGTERM, frame)
            return
        for worker in list(arbiter.WORKERS):
            kill_worker(worker)
        os._exit(1)

    def child_exit(number: int, frame: FrameType | None) -> None:
        if os.getpid() == master:
            reap(number, frame)
            on_child_exit()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.signal(signal.SIGCHLD, child_exit)


def keep_stopping_at_failures(arbiter: Any) -> None:
    """Stop all workers, and exit with the code of a failed boot, whenever the others fail.

    gunicorn raises ``HaltServer`` for each worker that fails to boot, also while it stops because of the first one.
    """
    stop_workers = arbiter.stop

    def stop(graceful: bool = True) -> None:
        try:
            stop_workers(graceful)
        except HaltServer:
            stop(graceful)

    arbiter.stop = stop


def kill_children_with_workers(arbiter: Any) -> None:
    """Kill the processes below a worker whenever the worker is killed."""
    signal_worker = arbiter.kill_worker

    def signal_or_kill(worker: int, number: int) -> None:
        if number == signal.SIGKILL:
            kill_worker(worker)
        signal_worker(worker, number)

    arbiter.kill_worker = signal_or_kill


def install_worker_handlers(worker: Any) -> None:
    """Ignore SIGINT, which a terminal sends to every process, and end the worker when its master has ended."""
    signal.signal(signal.SIGINT, ignore_signal)
    threading.Thread(target=end_with_parent, args=(worker.ppid,), name="drum-master-watch", daemon=True).start()
