"""The first process of a container: forwards signals to the server, and reaps orphans.

The kernel makes orphans children of process 1, and they stay zombies until that process waits for them. The server
itself must not: it would take the exit codes of processes that model code waits for.
"""

import os
import signal
from contextlib import suppress

INIT = 1

_SIGNAL_EXIT_BASE = 128
_SYNCHRONOUS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGABRT", "SIGSYS")
"""Signals that a process gets for its own faults."""


def fork_from_init() -> None:
    """Go on in a child if this is process 1, which then only reaps and forwards signals, and exits with its code."""
    if os.getpid() != INIT:
        return
    handled = signal.valid_signals() - {getattr(signal, name, None) for name in _SYNCHRONOUS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, handled)
    server = os.fork()
    if server == 0:
        _lead_terminal()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return
    os._exit(_supervise(server, handled))


def _supervise(server: int, handled: set[signal.Signals]) -> int:
    """Forward signals and reap processes until the server has ended; return its exit code."""
    while True:
        number = signal.sigwait(handled)
        if number != signal.SIGCHLD:
            with suppress(ProcessLookupError):
                os.kill(server, number)
            continue
        for process, status in _reaped():
            if process == server:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else _SIGNAL_EXIT_BASE - code


def _reaped() -> list[tuple[int, int]]:
    """Wait for all children that have ended."""
    found = []
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            found.append(ended)
    return found


def _lead_terminal() -> None:
    """Make the server a process group of its own, so that Ctrl-C reaches it once, and not forwarded, too."""
    os.setpgid(0, 0)
    with suppress(OSError):  # there is no terminal
        # In the background until now: SIGTTOU, which would stop the process, is blocked.
        os.tcsetpgrp(0, os.getpgrp())
