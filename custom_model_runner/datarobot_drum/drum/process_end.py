"""The end of a process: before it serves, and also when a prediction in it has none."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

PREDICTION_THREADS = "drum-predict"
"""What the names of the prediction threads begin with."""

LOADER_THREAD = "drum-model-loader"
"""The thread that loads a model while its server answers probes already."""

JOIN_SECONDS = 0.5


def end_process(code: int) -> NoReturn:
    """Exit with ``code``. Python would wait for every prediction thread, and one that hangs would keep the process."""
    model_threads = (PREDICTION_THREADS, LOADER_THREAD)
    busy = [thread for thread in threading.enumerate() if thread.name.startswith(model_threads)]
    for thread in busy:
        thread.join(JOIN_SECONDS)
    if any(thread.is_alive() for thread in busy):
        _leave_now(code)
    sys.exit(code)


def stop_at_once_on_signals() -> None:
    """Until a server listens to signals itself, SIGTERM and SIGINT end the process at once, as a clean stop.

    Not by an exception, which model code that is being loaded could catch.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_signal)


@contextmanager
def stopping_at_once_on_signals() -> Iterator[None]:
    """The same while a model loads inside a server that has listened to signals before; not outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    stop_at_once_on_signals()
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _on_signal(number: int, frame: FrameType | None) -> None:
    _leave_now(os.EX_OK)


def _leave_now(code: int) -> NoReturn:
    with suppress(Exception):  # a signal may have come in the middle of a write
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
