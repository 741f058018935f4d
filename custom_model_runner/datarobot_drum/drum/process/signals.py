"""Exit on signals before serving starts, and despite a stuck prediction thread."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

PREDICTION_THREAD_PREFIX = "drum-predict"
"""Prefix of the names of prediction threads."""

LOADER_THREAD = "drum-model-loader"
"""Name of the thread that loads the model while its server already responds to probes."""

JOIN_SECONDS = 0.5

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SIGNAL_EXIT_BASE = 128
"""Exit code of a command that a signal stopped: this plus the signal's number, as in shells."""

_cleanups: list[Callable[[], object]] = []


def exit_process(code: int) -> NoReturn:
    """Exit with ``code``, even if a prediction hangs."""
    exit_if_prediction_hangs(code)
    sys.exit(code)


def exit_if_prediction_hangs(code: int) -> None:
    """Exit at once if a thread of the model does not end: Python would wait for it without a limit."""
    model_threads = (PREDICTION_THREAD_PREFIX, LOADER_THREAD)
    busy = [thread for thread in threading.enumerate() if thread.name.startswith(model_threads)]
    for thread in busy:
        thread.join(JOIN_SECONDS)
    if any(thread.is_alive() for thread in busy):
        _exit_now(code)


def exit_on_signals() -> None:
    """Exit with 0 on SIGTERM and SIGINT, until a server installs its own handlers.

    The exit is not an exception, which model code could catch while it is loaded.
    """
    for number in _SIGNALS:
        signal.signal(number, _on_signal)


def abort_on_signals() -> None:
    """Exit on SIGTERM and SIGINT with 143 and 130: the command has not finished.

    The exit is not an exception, which model code could catch. Registered cleanups run first.
    """
    for number in _SIGNALS:
        signal.signal(number, _on_interrupt)


@contextmanager
def blocked_signals(*signals: signal.Signals) -> Iterator[None]:
    """Block signals in processes that are started meanwhile: a signal to the process group is for the server."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@contextmanager
def cleanup_on_signals(remove: Callable[[], object]) -> Iterator[None]:
    """Call ``remove`` if a signal ends the process within the block; the latest cleanup runs first."""
    _cleanups.append(remove)
    try:
        yield
    finally:
        _cleanups.remove(remove)


@contextmanager
def exiting_on_signals() -> Iterator[None]:
    """Exit on signals while a server that has its own handlers loads a model; no effect outside the main thread."""
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
    _exit_now(os.EX_OK)


def _on_interrupt(number: int, frame: FrameType | None) -> None:
    for remove in reversed(_cleanups):
        with suppress(Exception):  # a failing cleanup must not stop the others
            remove()
    _exit_now(_SIGNAL_EXIT_BASE + number)


def _exit_now(code: int) -> NoReturn:
    with suppress(Exception):  # the signal may have interrupted a write
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
