"""Listening sockets: bound before anything heavy is loaded, so a taken port is told in a sentence."""

import errno
import os
import socket

from datarobot_drum.drum.exceptions import StartupError

BACKLOG = 2048


def check_address(host: str, port: int) -> None:
    """Make sure that ``host:port`` can be listened on.

    Raises:
        StartupError: it cannot; the message says why.
    """
    bind(host, port).close()


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket that spawned workers may inherit.

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


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError) or isinstance(error, socket.gaierror):
        return "the host name cannot be resolved"
    if error.errno == errno.EADDRINUSE:
        return "the port is in use by another process"
    return os.strerror(error.errno).lower() if error.errno else str(error)
