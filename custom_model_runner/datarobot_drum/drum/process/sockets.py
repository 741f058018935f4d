"""Listening sockets: bound before anything heavy is loaded, so a taken port is told in a sentence."""

import ctypes
import errno
import os
import socket
import struct
import sys
from contextlib import suppress

from datarobot_drum.drum.exceptions import StartupError

if sys.platform != "win32":
    import resource

BACKLOG = 2048

MAX_DESCRIPTORS = 1 << 16
"""What a server asks for at most: where the hard limit is in the millions, so would be what others size by it."""

HANDSHAKE_SECONDS = 0.1
"""How long a connection may take from its first packet to its last before a server can accept it."""

_SO_ATTACH_FILTER = 26
_ALL_BUT_NEWCOMERS = (
    # Classic BPF over a TCP header (linux/filter.h): code, steps to skip if true, if false, operand.
    (0x30, 0, 0, 13),  # the flags
    (0x54, 0, 0, 0x12),  # of which SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # anything else may pass
)


def raise_fd_limit() -> None:
    """Raise the soft limit of open files, often 1,024, to the hard one, for this process and all that it starts.

    A connection is an open file, and the event loop resets those beyond the limit without a word.
    """
    if sys.platform == "win32":  # knows no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):  # macOS has a lower limit that it does not tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


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


def turn_newcomers_away(listener: socket.socket) -> None:
    """From now on, for every process that shares the socket, nobody new connects; who is about to still gets through.

    Closing a listening socket resets whoever connects after the last ``accept``. So the kernel is told to drop the
    first packet of new connections: clients repeat it a second later, and meet the next server or none.
    """
    if sys.platform != "linux":
        listener.listen(0)  # next to nobody
        return
    steps = b"".join(struct.pack("HBBI", *step) for step in _ALL_BUT_NEWCOMERS)
    program = ctypes.create_string_buffer(steps, len(steps))
    with suppress(OSError):  # a kernel that cannot; a connection may be lost then
        listener.setsockopt(
            socket.SOL_SOCKET,
            _SO_ATTACH_FILTER,
            struct.pack("HP", len(_ALL_BUT_NEWCOMERS), ctypes.addressof(program)),
        )


def accept_pending(listener: socket.socket) -> list[socket.socket]:
    """The connections that wait in a listening socket; closing it would reset them."""
    listener.setblocking(False)
    waiting = []
    with suppress(OSError):
        while True:
            waiting.append(listener.accept()[0])
    return waiting


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError) or isinstance(error, socket.gaierror):
        return "the host name cannot be resolved"
    if error.errno == errno.EADDRINUSE:
        return "the port is in use by another process"
    return os.strerror(error.errno).lower() if error.errno else str(error)
