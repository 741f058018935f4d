"""The end of a process: before it serves, and also when a prediction in it has none."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

PREDICTION_THREADS = "drum-predict"
"""What the names of the prediction threads begin with."""

LOADER_THREAD = "drum-model-loader"
"""The thread that loads a model while its server answers probes already."""

JOIN_SECONDS = 0.5

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SIGNALLED = 128
"""A process that a signal stopped before it was done ends with this plus the signal's number, as shells count."""

_cleanups: list[Callable[[], object]] = []


def exit_process(code: int) -> NoReturn:
    """Exit with ``code``, even if a prediction hangs."""
    exit_if_prediction_hangs(code)
    sys.exit(code)


def exit_if_prediction_hangs(code: int) -> None:
    """Exit at once if a thread of the model does not end: Python would wait for it without a limit."""
    model_threads = (PREDICTION_THREADS, LOADER_THREAD)
    busy = [thread for thread in threading.enumerate() if thread.name.startswith(model_threads)]
    for thread in busy:
        thread.join(JOIN_SECONDS)
    if any(thread.is_alive() for thread in busy):
        _leave_now(code)


def exit_on_signals() -> None:
    """Until a server listens to signals itself, SIGTERM and SIGINT end the process at once, as a clean stop.

    Not by an exception, which model code that is being loaded could catch.
    """
    for number in _SIGNALS:
        signal.signal(number, _on_signal)


def abort_on_signals() -> None:
    """From now on SIGTERM and SIGINT end the process at once, as a command that is not done: 143 and 130.

    Not by an exception, which model code could catch. What must not be left behind is removed first.
    """
    for number in _SIGNALS:
        signal.signal(number, _on_interrupt)


@contextmanager
def blocked_signals(*signals: signal.Signals) -> Iterator[None]:
    """A process that is started meanwhile never gets them: what stops a server's whole group is for the server."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@contextmanager
def cleanup_on_signals(remove: Callable[[], object]) -> Iterator[None]:
    """Within, a signal that ends the process calls ``remove`` first, the latest one before the others."""
    _cleanups.append(remove)
    try:
        yield
    finally:
        _cleanups.remove(remove)


@contextmanager
def exiting_on_signals() -> Iterator[None]:
    """The same while a model loads inside a server that has listened to signals before; not outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.getsignal(number) for number in _SIGNALS}
    exit_on_signals()
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _on_signal(number: int, frame: FrameType | None) -> None:
    _leave_now(os.EX_OK)


def _on_interrupt(number: int, frame: FrameType | None) -> None:
    for remove in reversed(_cleanups):
        with suppress(Exception):  # one that fails must not keep the rest
            remove()
    _leave_now(_SIGNALLED + number)


def _leave_now(code: int) -> NoReturn:
    with suppress(Exception):  # a signal may have come in the middle of a write
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
