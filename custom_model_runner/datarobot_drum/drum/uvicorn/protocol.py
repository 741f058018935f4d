"""uvicorn's protocol with a fast path beside the one of ASGI, and a say in how much is read at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from uvicorn.protocols.http.flow_control import CLOSE_HEADER, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from datarobot_drum.drum.serving.memory_budget import LARGEST_PIECE, MemoryBudget
from datarobot_drum.drum.uvicorn.fast_path import FastExchange, FastPath


class Host(Protocol):
    """What a connection has to do with the server that has it."""

    @property
    def wants_to_part(self) -> bool: ...
    def connection_lost(self) -> None: ...


class DrumProtocol(HttpToolsProtocol):
    """One connection.

    A request that the fast path takes is not begun as an ASGI task but kept until its body is complete. If that does
    not come with the headers, it goes the way of ASGI like all others.

    Args:
        fast_path: None if nothing may take it.
        room: what all connections of an event loop read into.
        host: of all connections.
    """

    def __init__(self, fast_path: FastPath | None, room: Room, host: Host, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._host = host
        self._fast_path = fast_path
        self._room = room
        self.in_flight: set[Any] = self.tasks
        """What a stop waits for, and cancels after the graceful timeout: uvicorn's tasks, futures of ours."""
        self._exchange: FastExchange | None = None
        """The request that is on the fast path, until its answer is written."""
        self.was_asked = False
        """Whether there has been such a request."""
        self._held = b""
        """What came after that request before its answer."""
        self._answer_app: Any = None
        """Answers the next request instead of the app."""
        self._idle_since = 0.0
        """When the last one of them was answered."""
        self._is_between = True
        """Whether the parser stands between two requests."""
        self._under_way = 0
        """Bytes of an unfinished body between the socket and whoever stores it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport, self._may_read_on)
        transport.set_protocol(_Reader(self, self._room))

    @property
    def can_write(self) -> bool:
        """Whether an answer may be written at once: the client is there and takes what it gets."""
        return not (self.flow.write_paused or self.transport.is_closing())

    @property
    def wants_to_part(self) -> bool:
        """Whether the client had better connect anew."""
        return self._host.wants_to_part

    @property
    def own_headers(self) -> list[tuple[bytes, bytes]]:
        """What the server adds to every answer."""
        return self.server_state.default_headers

    def write(self, answer: bytes, *, keep: bool) -> None:
        """The whole answer to the request on the fast path."""
        self._exchange = None
        self.server_state.total_requests += 1
        self.transport.write(answer)
        if not keep:
            self.transport.close()
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._close_when_idle(self.timeout_keep_alive)
        if self._held:
            self.flow.resume_reading()
            self._go_on()

    def _close_when_idle(self, seconds: float) -> None:
        """In so many seconds at the earliest. To look then costs less than to set a timer anew for each request."""
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if self._exchange is not None:
            return
        if left > 0:
            self._close_when_idle(left)
        else:
            super().timeout_keep_alive_handler()

    def run_asgi(self, request: bytes, app: Any) -> None:
        """Have ``app`` answer ``request``, which was on the fast path, on the other one."""
        self._exchange = None
        self._answer_app = app
        super().data_received(request)
        self._go_on()

    def _go_on(self) -> None:
        held, self._held = self._held, b""
        if held and not self.transport.is_closing():
            self.data_received(held)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        app, self._answer_app = self._answer_app or app, None
        if self._host.wants_to_part and not self.pipeline:
            cycle.keep_alive = False
            cycle.scope["headers"] = [*cycle.scope["headers"], CLOSE_HEADER]  # uvicorn says so to who says it
        super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        self._is_between = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._is_between = True
        super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        cycle: Any = self.cycle
        if cycle.body or cycle.response_complete:
            super().on_body(body)
        else:  # as it is: uvicorn would copy it twice
            cycle.body = body
            cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        if self._exchange is not None:  # one after the other
            self._held += data
            self.flow.pause_reading()
            return
        if self._fast_path is not None and self._is_between and self._has_answered:
            self._exchange = self._fast_path.begin(self, data)
            if self._exchange is not None:
                self.was_asked = True
                self._exchange.run()
                return
        super().data_received(data)
        if self._has_body and (self.cycle.more_body or self._under_way):
            self._room.budget.count_under_way(len(data))
            self._under_way += len(data)
            if self.cycle.more_body:
                self.flow.pause_reading()  # until the app asks for more

    @property
    def _has_answered(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    @property
    def _has_body(self) -> bool:
        """Whether there is something of a body that the app has not taken."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and bool(cycle.body) and not cycle.response_complete

    def _may_read_on(self) -> bool:
        """The app asks for more, so it is done with what it got before. The piece that waits for it is enough when
        memory is short; else the next one is read meanwhile."""
        waiting = len(self.cycle.body) if self._has_body else 0
        if self._under_way > waiting:
            self._room.budget.count_under_way(waiting - self._under_way)
            self._under_way = waiting
        return not waiting or self._room.has_plenty

    def on_response_complete(self) -> None:
        self._exchange = None
        super().on_response_complete()
        self._go_on()

    def shutdown(self) -> None:
        if self._exchange is None:
            super().shutdown()
        else:
            self._exchange.keep_alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        exchange, self._exchange = self._exchange, None
        self._held = b""
        super().connection_lost(exc)
        self._host.connection_lost()
        self._room.budget.count_under_way(-self._under_way)
        self._under_way = 0
        if exchange is not None:
            exchange.client_left()


class _Flow(FlowControl):
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
        self._whole = memoryview(bytearray(LARGEST_PIECE))

    @property
    def has_plenty(self) -> bool:
        return self.budget.piece == LARGEST_PIECE

    def next(self) -> memoryview:
        size = self.budget.piece
        return self._whole if size == LARGEST_PIECE else self._whole[:size]


class _Reader(asyncio.BufferedProtocol):
    """Between a transport and its protocol: reads into the room."""

    def __init__(self, protocol: DrumProtocol, room: Room) -> None:
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


def protocol_is_known() -> bool:
    """Whether uvicorn's protocol is the one that this module extends; its inside may change from version to version."""
    return hasattr(HttpToolsProtocol, "_start_asgi_task") and asyncio.iscoroutinefunction(RequestResponseCycle.send)
