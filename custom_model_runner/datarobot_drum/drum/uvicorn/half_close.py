"""Clients that have ended their sending side, and wait for the response or have closed the connection altogether.

The socket looks the same in both cases, until something is sent: a client that has closed responds with a reset.
"""

import asyncio
import socket

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from datarobot_drum.drum.serving.request_head import CONTINUE

PROBE_SECONDS = 1.0
"""Seconds after which bytes without a meaning are sent, once, to find out whether the client has closed."""

POLL_SECONDS = 0.25
LEADING_ZERO = b"0"
"""The first digit of the next chunk's size (RFC 9112, 7.1)."""


class HalfCloseWatch:
    """Aborts a connection whose client has closed it: its queued call is cancelled, its stream ends.

    Nothing is read any more after the end of the client's data, so a reset is looked for at the socket.

    Args:
        cycle: the request that the client waits for.
    """

    def __init__(self, transport: asyncio.Transport, cycle: RequestResponseCycle, loop: asyncio.AbstractEventLoop):
        self._transport = transport
        self._cycle = cycle
        self._loop = loop
        self._probe_at = loop.time() + PROBE_SECONDS
        self._schedule()

    def _schedule(self) -> None:
        self._loop.call_later(POLL_SECONDS, self._check)

    def _check(self) -> None:
        if self._transport.is_closing():
            return
        if self._transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._transport.abort()
            return
        if self._loop.time() >= self._probe_at:
            self._probe()
        self._schedule()

    def _probe(self) -> None:
        """Send bytes that change nothing, if the protocol has such bytes."""
        self._probe_at = float("inf")
        cycle = self._cycle
        if not cycle.response_started and cycle.scope["http_version"] == "1.1":
            self._transport.write(CONTINUE)
        elif cycle.chunked_encoding and cycle.scope["method"] != "HEAD":
            self._transport.write(LEADING_ZERO)
