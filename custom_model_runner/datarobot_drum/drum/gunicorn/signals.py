"""Signals of gunicorn's master and its workers, so that a stop means what it means on the other servers.

Left alone, gunicorn ends the requests in flight at Ctrl-C, ignores a second SIGTERM, and leaves a sync worker whose
master was killed on the port until its next request.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from itertools import count
from types import FrameType
from typing import Any

PARENT_POLL_SECONDS = 1.0


def listen_in_master(arbiter: Any, on_stop: Callable[[], object]) -> None:
    """The first SIGTERM or SIGINT drains, and ``on_stop`` is told; a second one stops at once."""
    master = os.getpid()
    signals = count(1)

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != master:
            os._exit(os.EX_OK)  # forked a moment ago, and not yet a worker that has handlers of its own
        if next(signals) == 1:
            on_stop()
            arbiter.signal(signal.SIGTERM, frame)
            return
        for worker in list(arbiter.WORKERS):
            os.kill(worker, signal.SIGKILL)
        os._exit(1)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def listen_in_worker(worker: Any) -> None:
    """A terminal sends Ctrl-C to every process; the master decides what it means. Without a master, the worker ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_master, args=(worker.ppid,), name="drum-master-watch", daemon=True).start()


def _end_with_master(master: int) -> None:
    while os.getppid() == master:
        time.sleep(PARENT_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
