"""uvicorn's protocol with a fast path beside the one of ASGI."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from datarobot_drum.drum.uvicorn.fast_path import FastExchange, FastPath
from datarobot_drum.drum.uvicorn.reading import Flow, Reader, Room


class Host(Protocol):
    """What a connection has to do with the server that has it."""

    @property
    def wants_to_part(self) -> bool: ...
    def connection_lost(self) -> None: ...


class DrumProtocol(HttpToolsProtocol):
    """One connection.

    A request that the fast path takes is kept from uvicorn until its body is complete. If that does not come with the
    headers or right behind them, it goes the way of ASGI like all others.

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
        """What a stop waits for, and cancels after the graceful timeout: uvicorn's tasks and our futures."""
        self._exchange: FastExchange | None = None
        """The request that is on the fast path, until its answer is written."""
        self.was_asked = False
        """Whether there has been such a request."""
        self._begun = b""
        """Such a request whose body is still to come, as far as it is here."""
        self._held = b""
        """What came after that request before its answer."""
        self._answer_app: Any = None
        """Answers the next request instead of the app."""
        self._idle_since = 0.0
        """When the last request on the fast path was answered."""
        self._is_between = True
        """Whether the parser stands between two requests."""
        self._under_way = 0
        """Bytes of an unfinished body between the socket and whoever stores it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(transport, self._may_read_on)
        transport.set_protocol(Reader(self, self._room))

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
        if self._exchange is not None or self._begun:
            return
        if left > 0:
            self._close_when_idle(left)
        else:
            super().timeout_keep_alive_handler()

    def run_asgi(self, request: bytes, app: Any) -> None:
        """Have ``app`` answer ``request``, which was on the fast path, on the other one."""
        self._exchange = None
        self._answer_app = app
        self._feed(request)
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
        data = self._begun + data if self._begun else data
        if self._fast_path is None or not self._takes_fast_path(self._fast_path, data):
            self._take_begun()
            self._feed(data)

    def _takes_fast_path(self, fast_path: FastPath, data: bytes) -> bool:
        """Whether the request that begins with ``data`` has begun there, or is to once the rest of its body is here."""
        head = fast_path.head_of(data) if self._is_between and self._has_answered else None
        if head is None or len(data) > head.size:
            return False
        self.was_asked = True
        if len(data) < head.size:
            if not self._begun:  # once: who sends a byte now and then must not be waited for longer
                self._room.stragglers.set(self)
            self._begun = data
            return True
        self._take_begun()
        self._exchange = fast_path.begin(self, head, data)
        if self._exchange is None:
            return False
        self._exchange.run()
        return True

    def wait_no_longer(self) -> None:
        """The rest of a body may take its time, and the way of ASGI has an eye on that."""
        if self._begun:
            self._feed(self._take_begun())

    def _take_begun(self) -> bytes:
        begun, self._begun = self._begun, b""
        if begun:
            self._room.stragglers.forget(self)
        return begun

    def _feed(self, data: bytes) -> None:
        """Go the way of ASGI."""
        super().data_received(data)
        if self._has_body and (self.cycle.more_body or self._under_way):
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
            self._under_way = waiting
        return not waiting or self._room.has_plenty

    def shutdown(self) -> None:
        self.wait_no_longer()
        if self._exchange is None:
            super().shutdown()
        else:
            self._exchange.keep_alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        exchange, self._exchange = self._exchange, None
        self._held = b""
        self._take_begun()
        super().connection_lost(exc)
        self._host.connection_lost()
        self._under_way = 0
        if exchange is not None:
            exchange.client_left()


def protocol_is_known() -> bool:
    """Whether uvicorn's protocol is the one that this module extends; its inside may change from version to version."""
    return hasattr(HttpToolsProtocol, "_start_asgi_task") and asyncio.iscoroutinefunction(RequestResponseCycle.send)
