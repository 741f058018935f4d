"""Exit on signals before serving starts, and despite threads and child processes of the model that do not end."""

import atexit
import os
import signal
import sys
import threading

# By name: gevent replaces the functions in their modules, and greenlets do not run while Python exits.
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from types import FrameType
from typing import NoReturn

from datarobot_drum.drum.process.children import CHILD_SECONDS, end_children, has_children, kill_children

PREDICTION_THREAD_PREFIX = "drum-predict"
"""Prefix of the names of prediction threads."""

LOADER_THREAD = "drum-model-loader"
"""Name of the thread that loads the model while its server already responds to probes."""

JOIN_SECONDS = 0.5

EXIT_SECONDS = 60.0
"""More than the end of a process takes."""

_PROCESS_EVENTS = frozenset({"os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen"})
"""Audit events of calls that start a process."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that stop a server; SIGHUP only if it is not ignored, as under ``nohup``."""
    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    return (*_SIGNALS, signal.SIGQUIT, *hangup)


SIGNAL_EXIT_BASE = 128
"""Exit code of a command that a signal stopped: this plus the signal's number, as in shells."""

_cleanups: list[Callable[[], object]] = []


class _PendingExit:
    """An exit that is about to happen: of which process, with which code, and until when."""

    def __init__(self) -> None:
        self.child_seconds = CHILD_SECONDS
        self._pid = 0
        self._code = os.EX_OK
        self._deadline = 0.0
        self._ending_children = threading.Lock()

    def begin(self, code: int) -> None:
        """Exit with ``code`` at the deadline, even if Python still waits for a thread or a process."""
        self._pid, self._code, self._deadline = os.getpid(), code, monotonic() + self.child_seconds
        start_new_thread(self._enforce, ())
        multiprocessing_util = sys.modules.get("multiprocessing.util")
        if multiprocessing_util is not None:  # a forked worker runs no atexit handlers
            multiprocessing_util.Finalize(None, self.end_children, exitpriority=-100)

    def end_children(self) -> None:
        """End the model's processes, if this process is about to exit."""
        if self._pid == os.getpid():
            with self._ending_children:
                end_children(self._deadline)

    def _enforce(self) -> None:
        # Python's own exit comes first: it ends process pools in order, and signals would break them.
        sleep(min(JOIN_SECONDS, self.child_seconds))
        self.end_children()
        sleep(max(0.0, self._deadline - monotonic()) + JOIN_SECONDS)
        _exit_now(self._code)


_pending_exit = _PendingExit()
# Registered before model code is imported, so it runs after the handlers of that code and its libraries.
atexit.register(_pending_exit.end_children)


def limit_exit_time(graceful_timeout: float) -> None:
    """Let the model's processes and threads take at most ``graceful_timeout`` seconds to end, and ``CHILD_SECONDS``."""
    _pending_exit.child_seconds = min(CHILD_SECONDS, graceful_timeout)


def exit_process(code: int) -> NoReturn:
    """Exit with ``code``, even if a prediction, a thread or a child process of the model does not end."""
    prepare_exit(code)
    sys.exit(code)


def prepare_exit(code: int) -> None:
    """Make the exit that follows end the model's processes, and not wait for its threads without a limit."""
    _exit_if_prediction_hangs(code)
    if has_children() or any(_outlives_exit(thread) for thread in threading.enumerate()):
        _pending_exit.begin(code)


def _outlives_exit(thread: threading.Thread) -> bool:
    return not thread.daemon and thread is not threading.main_thread()


def _exit_if_prediction_hangs(code: int) -> None:
    """Exit at once if a thread of the model does not end: Python would wait for it without a limit."""
    model_threads = (PREDICTION_THREAD_PREFIX, LOADER_THREAD)
    busy = [thread for thread in threading.enumerate() if thread.name.startswith(model_threads)]
    for thread in busy:
        thread.join(JOIN_SECONDS)
    if any(thread.is_alive() for thread in busy):
        _exit_now(code)


def abort_process(code: int) -> NoReturn:
    """Kill the model's processes and exit at once."""
    with suppress(Exception):  # a signal handler calls it at any moment
        sys.addaudithook(_block_new_processes)
        kill_children()
    os._exit(code)


def exit_on_signals() -> None:
    """Exit with 0 on signals that stop a server, until it installs its own handlers.

    The exit is not an exception, which model code could catch while it is loaded.
    """
    for number in stop_signals():
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
    former = {number: signal.getsignal(number) for number in stop_signals()}
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
    _exit_now(SIGNAL_EXIT_BASE + number)


def _exit_now(code: int) -> NoReturn:
    with suppress(Exception):  # a signal may have interrupted a write
        sys.stdout.flush()
        sys.stderr.flush()
    with suppress(Exception):
        sys.addaudithook(_block_new_processes)
        end_children(monotonic() + JOIN_SECONDS)
    os._exit(code)


def _block_new_processes(event: str, arguments: object) -> None:
    """Let no thread start a process while this one exits: process pools replace the workers that are killed."""
    if event in _PROCESS_EVENTS:
        sleep(EXIT_SECONDS)
