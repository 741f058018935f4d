"""Listening sockets: bound before anything heavy is loaded, so a taken port is reported at once."""

import errno
import os
import socket
import sys
from contextlib import suppress

from datarobot_drum.drum.exceptions import StartupError

if sys.platform != "win32":
    import resource

BACKLOG = 2048

MAX_DESCRIPTORS = 1 << 16
"""Open files that a server asks for at most: some libraries allocate tables as large as the limit."""


def raise_fd_limit() -> None:
    """Raise the soft limit of open files, often 1,024, to the hard one, for this process and its children.

    A connection is an open file, and the event loop silently resets connections beyond the limit.
    """
    if sys.platform == "win32":  # there is no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):  # macOS has a lower limit that it does not report
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def check_address(host: str, port: int) -> None:
    """Check that ``host:port`` can be listened on.

    Raises:
        StartupError: it cannot; the message says why.
    """
    bind(host, port).close()


def bind(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket that spawned workers may inherit.

    Raises:
        StartupError: the address is taken, not allowed or not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, UnicodeError) as error:
        listener.close()
        raise StartupError(f"Cannot listen on {host}:{port}: {_reason(error)}.") from error
    listener.set_inheritable(True)
    return listener


def accept_pending(listener: socket.socket) -> list[socket.socket]:
    """Accept all connections in the backlog of ``listener``, to be called before it is closed.

    Closing a listening socket resets what is in its backlog. A connection that completes its handshake between this
    call and the close is lost; the lame-duck time keeps such clients away.
    """
    listener.setblocking(False)
    connections = []
    with suppress(OSError):
        while True:
            connections.append(listener.accept()[0])
    return connections


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError) or isinstance(error, socket.gaierror):
        return "the host name cannot be resolved"
    if error.errno == errno.EADDRINUSE:
        return "the port is in use by another process"
    return os.strerror(error.errno).lower() if error.errno else str(error)
