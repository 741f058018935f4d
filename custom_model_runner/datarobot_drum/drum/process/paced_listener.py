"""Accepts connections one at a time, so that workers that share a listening socket share its connections."""

import asyncio
import logging
import socket
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from datarobot_drum.drum.process.tls import TlsContexts

logger = logging.getLogger(__name__)

ACCEPT_PAUSE = 0.001
"""Seconds until a worker accepts its next connection, in which other workers accept theirs."""

ACCEPT_RETRY_SECONDS = 1.0
"""Seconds until the next try after a failure."""


HANDSHAKE_END_SECONDS = 1.0
"""Seconds that a handshake may go on after the listener has stopped."""


@dataclass(frozen=True)
class Security:
    """How connections are secured.

    Args:
        contexts: of TLS; None for plain connections.
        handshake_timeout: seconds.
    """

    contexts: TlsContexts | None = None
    handshake_timeout: float = 30.0

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the event loop for a connection that starts now."""
        if self.contexts is None:
            return {}
        return {"ssl": self.contexts.current(), "ssl_handshake_timeout": self.handshake_timeout}


PLAIN = Security()


class PacedListener:
    """Accepts one connection of ``listener``, then pauses.

    uvloop would accept a whole burst in one worker: of 16 connections that a client opens at once, the other worker got
    none. With the pause they spread evenly, and one worker still accepts 1,000 connections a second.
    """

    def __init__(
        self, listener: socket.socket, new_protocol: Callable[[], asyncio.Protocol], security: Security = PLAIN
    ) -> None:
        self._listener = listener
        self._security = security
        self._new_protocol = new_protocol
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()
        self._stopped = False

    def start(self) -> None:
        """Accept connections until ``stop``."""
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)

    async def stop(self) -> None:
        """Accept no more connections, and serve those that are accepted; the listener stays open."""
        self._stopped = True
        self._loop.remove_reader(self._listener)
        await _end_handshakes(self._connecting)

    def _accept(self) -> None:
        try:
            connection = self._listener.accept()[0]
        except (BlockingIOError, ConnectionError):  # another worker was faster, or the client has disconnected
            return
        except OSError as error:  # no file descriptors left: connections wait in the backlog
            logger.error("Cannot accept connections: %s.", error)
            self._pause(ACCEPT_RETRY_SECONDS)
            return
        task = self._loop.create_task(connect(connection, self._new_protocol, self._security))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        self._pause(ACCEPT_PAUSE)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        if not self._stopped:
            self._loop.add_reader(self._listener, self._accept)


async def connect_all(
    connections: Iterable[socket.socket], new_protocol: Callable[[], asyncio.Protocol], security: Security
) -> None:
    """Serve accepted connections."""
    loop = asyncio.get_running_loop()
    await _end_handshakes({loop.create_task(connect(each, new_protocol, security)) for each in connections})


async def _end_handshakes(connecting: Collection[asyncio.Task[None]]) -> None:
    """Wait for connections that are being made; close those whose clients do not continue their handshake."""
    if connecting:
        _, unfinished = await asyncio.wait(connecting, timeout=HANDSHAKE_END_SECONDS)
        for task in unfinished:
            task.cancel()


async def connect(
    connection: socket.socket, new_protocol: Callable[[], asyncio.Protocol], security: Security = PLAIN
) -> None:
    """Serve an accepted connection, after its handshake if it has one."""
    connection.setblocking(False)
    try:
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(new_protocol, connection, **security.arguments())
    except OSError:  # its client has disconnected, or does not speak TLS
        connection.close()
    except asyncio.CancelledError:
        connection.close()
        raise
