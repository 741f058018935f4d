"""Forks that model code makes: ``multiprocessing``, ``os.fork`` and libraries on top of them.

A fork inherits the server's signal handlers, which only set a flag of a server that it is not, so it could not be
ended with SIGTERM. It also inherits the stack: if it left its hook, it would go on as a second server.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from datarobot_drum.drum.process.hook_signals import is_hook_handler


class _State:
    """What the hooks of ``os.register_at_fork``, which cannot be removed, share with this module."""

    def __init__(self) -> None:
        self.registered = False
        self.isolating = False
        """True if forks of this process are those of model code."""
        self.in_fork = False
        """True in a process that model code has forked."""
        self.masks: dict[int, set[int | signal.Signals]] = {}
        """Signal masks of threads that fork just now, by thread."""


_state = _State()


def isolate_forks() -> None:
    """Give every later fork of this process default signal handlers; its own forks are left to it."""
    if not hasattr(os, "fork"):
        return
    if not _state.registered:
        os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
        _state.registered = True
    _state.isolating = True


@contextmanager
def isolated_forks() -> Iterator[None]:
    """Do the same as ``isolate_forks`` within the block, in a process that forks the workers later."""
    isolate_forks()
    try:
        yield
    finally:
        _state.isolating = False


def exit_fork(error: BaseException | None = None) -> None:
    """End this process if it is a fork of model code that has left its hook, with ``error`` or without."""
    if _state.in_fork:
        code = _exit_code(error)
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(code)


def _exit_code(error: BaseException | None) -> int:
    """Return the code with which Python would exit because of ``error``; print what it would print."""
    if error is None:
        return os.EX_OK
    cause = error
    while cause.__cause__ is not None:  # errors of hooks are raised from those of the model
        cause = cause.__cause__
    if not isinstance(cause, SystemExit):
        traceback.print_exception(cause)
        return 1
    if cause.code is None or isinstance(cause.code, int):
        return (cause.code or 0) & 0xFF
    sys.stderr.write(f"{cause.code}\n")
    return 1


def _before() -> None:
    """Block signals: one that arrives before the handlers are reset would be lost in the child."""
    if _state.isolating:
        _state.masks[threading.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def _in_parent() -> None:
    mask = _state.masks.pop(threading.get_ident(), None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _in_child() -> None:
    mask = _state.masks.pop(threading.get_ident(), None)
    if mask is None:
        return
    _state.masks.clear()
    _state.isolating = False
    _state.in_fork = True
    try:
        signal.set_wakeup_fd(-1)
        _reset_handlers()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _reset_handlers() -> None:
    """Restore Python's default for every signal that the server handles; handlers of the model stay."""
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if callable(handler) and not is_hook_handler(handler):
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)
