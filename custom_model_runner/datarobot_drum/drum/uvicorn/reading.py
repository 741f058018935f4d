"""How much is read from connections at a time, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from operator import methodcaller
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl

from datarobot_drum.drum.serving.body.memory_budget import MemoryBudget
from datarobot_drum.drum.serving.execution.alarms import Alarms

CHUNK_SIZE = 64 * 1024
STRAGGLER_SECONDS = 0.05
"""How long the rest of a small body is waited for before its request goes the way of ASGI."""


class _Connection(Protocol):
    """Who reads."""

    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def wait_no_longer(self) -> None: ...


class Flow(FlowControl):
    """Reads on when it is asked to and ``may_read_on`` agrees."""

    def __init__(self, transport: asyncio.Transport, may_read_on: Callable[[], bool]) -> None:
        super().__init__(transport)
        self._may_read_on = may_read_on

    def resume_reading(self) -> None:
        if self._may_read_on():
            super().resume_reading()


class Room:
    """What all connections of an event loop read into, one after the other.

    A large body comes in few large pieces, as each has to win the interpreter back from predictions. Of many bodies at
    once each holds such a piece on its way to the disk, so the pieces are smaller then.

    Args:
        budget: of the bodies that are in memory.
    """

    def __init__(self, budget: MemoryBudget) -> None:
        self.budget = budget
        self._whole = memoryview(bytearray(CHUNK_SIZE))
        self.stragglers: Alarms[_Connection] = Alarms(STRAGGLER_SECONDS, methodcaller("wait_no_longer"))
        """Connections that wait for the rest of a small body, which many clients send right behind the head."""

    @property
    def has_plenty(self) -> bool:
        return False

    def next(self) -> memoryview:
        return self._whole


class Reader(asyncio.BufferedProtocol):
    """Between a transport and its protocol: reads into the room."""

    def __init__(self, protocol: _Connection, room: Room) -> None:
        self._protocol = protocol
        self._next_room = room.next
        self._read_into = room.next()
        self.connection_lost = protocol.connection_lost  # type: ignore[method-assign]
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]

    def get_buffer(self, sizehint: int) -> memoryview:
        self._read_into = self._next_room()
        return self._read_into

    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.data_received(bytes(self._read_into[:nbytes]))

    def eof_received(self) -> None:
        self._protocol.eof_received()
