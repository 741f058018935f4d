"""uvicorn's protocol with a fast path beside the one of ASGI."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from datarobot_drum.drum.uvicorn.fast_path import FastExchange, FastPath


class DrumProtocol(HttpToolsProtocol):
    """One connection.

    A request that the fast path takes is not begun as an ASGI task but kept until its body is complete. If that does
    not come with the headers, it goes the way of ASGI like all others.
    """

    def __init__(self, fast_path: FastPath, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._fast_path = fast_path
        self.in_flight: set[Any] = self.tasks
        """What a stop waits for, and cancels after the graceful timeout: uvicorn's tasks, futures of ours."""
        self._exchange: FastExchange | None = None
        """The request that is on the fast path, from its headers to its answer."""
        self._runs = False
        """Whether that request has been handed in."""

    @property
    def can_write(self) -> bool:
        """Whether an answer may be written at once: the client is there and takes what it gets."""
        return not (self.flow.write_paused or self.transport.is_closing())

    def run_asgi(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Go on with a request of the fast path on the other one."""
        super()._start_asgi_task(cycle, app)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        exchange = self._fast_path.begin(self, cycle) if app is self.app else None
        if exchange is None:
            super()._start_asgi_task(cycle, app)
            return
        self._exchange, self._runs = exchange, False
        if not cycle.more_body:  # it was sent before the one before it was answered
            self._run(cycle)

    def _run(self, cycle: RequestResponseCycle) -> None:
        self._runs = True
        if self._exchange is not None and not self._exchange.run():
            self._go_the_other_way(cycle)

    def _go_the_other_way(self, cycle: RequestResponseCycle) -> None:
        self._exchange = None
        super()._start_asgi_task(cycle, self.app)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self._exchange is not None and not self._runs and not self.cycle.more_body:
            self._run(self.cycle)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._exchange is not None and not self._runs:
            self._go_the_other_way(self.cycle)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.more_body and cycle.body and not cycle.response_complete:
            self.flow.pause_reading()  # until the app asks for more: each of many uploads would hold half a megabyte

    def on_response_complete(self) -> None:
        self._exchange = None
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        exchange, self._exchange = self._exchange, None
        if exchange is not None and self._runs:
            exchange.client_left()


def protocol_is_known() -> bool:
    """Whether uvicorn's protocol is the one that this module extends; its inside may change from version to version."""
    return hasattr(HttpToolsProtocol, "_start_asgi_task") and asyncio.iscoroutinefunction(RequestResponseCycle.send)
