"""Accepts connections one at a time, so that workers that share a listening socket share its connections."""

import asyncio
import logging
import socket
from collections.abc import Callable

logger = logging.getLogger(__name__)

ACCEPT_PAUSE = 0.001
"""Seconds until a worker accepts its next connection, in which other workers accept theirs."""

ACCEPT_RETRY_SECONDS = 1.0
"""Seconds until the next try after a failure."""


class PacedListener:
    """Accepts one connection of ``listener``, then pauses.

    uvloop would accept a whole burst in one worker: of 16 connections that a client opens at once, the other worker got
    none. With the pause they spread evenly, and one worker still accepts 1,000 connections a second.
    """

    def __init__(self, listener: socket.socket, new_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._listener = listener
        self._new_protocol = new_protocol
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Future[None]] = set()
        self._stopped = False

    def start(self) -> None:
        """Accept connections until ``stop``."""
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)

    async def stop(self) -> None:
        """Accept no more connections, and serve those that are accepted; the listener stays open."""
        self._stopped = True
        self._loop.remove_reader(self._listener)
        await asyncio.gather(*self._connecting)

    def _accept(self) -> None:
        try:
            connection = self._listener.accept()[0]
        except (BlockingIOError, ConnectionError):  # another worker was faster, or the client has disconnected
            return
        except OSError as error:  # no file descriptors left: connections wait in the backlog
            logger.error("Cannot accept connections: %s.", error)
            self._pause(ACCEPT_RETRY_SECONDS)
            return
        task = self._loop.create_task(connect(connection, self._new_protocol))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        self._pause(ACCEPT_PAUSE)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        if not self._stopped:
            self._loop.add_reader(self._listener, self._accept)


async def connect(connection: socket.socket, new_protocol: Callable[[], asyncio.Protocol]) -> None:
    """Serve an accepted connection."""
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().connect_accepted_socket(new_protocol, connection)
    except OSError:  # its client has disconnected
        connection.close()
