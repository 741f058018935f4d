"""Forks that model code makes: ``multiprocessing``, ``os.fork`` and libraries on top of them.

A fork inherits the server's signal handlers, which only set a flag of a server that it is not, so it could not be
ended with SIGTERM. It also inherits the stack: if it left its hook, it would go on as a second server. And it inherits
the sockets: clients would not notice that the server closes their connections.
"""

import os
import signal
import socket
import stat
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from datarobot_drum.drum.process.hook_signals import is_hook_handler

_DESCRIPTORS = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"


class _State:
    """What the hooks of ``os.register_at_fork``, which cannot be removed, share with this module."""

    def __init__(self) -> None:
        self.registered = False
        self.isolating = False
        """True if forks of this process are those of model code."""
        self.in_fork = False
        """True in a process that model code has forked."""
        self.port = 0
        """The port of the server."""
        self.masks: dict[int, set[int | signal.Signals]] = {}
        """Signal masks of threads that fork just now, by thread."""


_state = _State()


def isolate_forks(port: int = 0) -> None:
    """Give every later fork of this process default signal handlers, and none of the sockets of ``port``.

    Forks of these forks are left to model code.
    """
    if not hasattr(os, "fork"):
        return
    if not _state.registered:
        os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
        _state.registered = True
    _state.isolating = True
    _state.port = port


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
        _release_sockets(_state.port)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _release_sockets(port: int) -> None:
    """Replace the listening socket and the connections of the server by a socket that gets no connection.

    Objects of this process use and close the descriptors later, so other files must not get their numbers.
    """
    if not port:
        return
    silent = socket.socket(socket.AF_UNIX)
    silent.setblocking(False)
    if sys.platform == "linux":
        silent.bind("")  # to a name that no other process knows
        silent.listen()
    for name in os.listdir(_DESCRIPTORS) if os.path.isdir(_DESCRIPTORS) else ():
        with suppress(OSError, ValueError):
            descriptor = int(name)
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode) and _local_port(descriptor) == port:
                os.dup2(silent.fileno(), descriptor, inheritable=False)
    silent.close()


def _local_port(descriptor: int) -> int:
    with socket.socket(fileno=os.dup(descriptor)) as copy:
        is_tcp = copy.family in (socket.AF_INET, socket.AF_INET6) and copy.type == socket.SOCK_STREAM
        return int(copy.getsockname()[1]) if is_tcp else 0


def _reset_handlers() -> None:
    """Restore Python's default for every signal that the server handles; handlers of the model stay."""
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if callable(handler) and not is_hook_handler(handler):
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)
