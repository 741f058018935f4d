"""The management port's process: ``python -m datarobot_drum.drum.management.process <config>``.

It imports no web framework, numeric library or model, so it is small and its GIL is free. It ends with the process
that owns the server.
"""

import asyncio
import dataclasses
import json
import logging
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from datarobot_drum.drum.exceptions import NotFound
from datarobot_drum.drum.management.hang_limits import HangLimits
from datarobot_drum.drum.management.probes import Probes
from datarobot_drum.drum.management.status import StatusTable
from datarobot_drum.drum.process.logs import configure_logging
from datarobot_drum.version import __version__

if TYPE_CHECKING:
    from datarobot_drum.drum.management.metrics_export import MetricsExport

MAX_HEADER_SIZE = 8 * 1024
MAX_CONNECTIONS = 256
CLIENT_SECONDS = 5.0
"""Time that a client gets to send its request, and again to read the response."""
OWNER_POLL_SECONDS = 0.25

LAST_EXPORT_SECONDS = 3.0
"""Time for the last export of metrics, at the end of the server."""
STOP = b"stop"
"""What the owner writes to the standard input of the process before it ends it."""

METHODS = "GET, HEAD"
METRICS = "/metrics"
SLOW_CALLS = "/debug/slow"

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]{0,1024}) HTTP/1\.[01]\r?\n")

logger = logging.getLogger("drum.management")

_ACCEPT = re.compile(rb"\r?\naccept:[ \t]*([!-~ \t]*)", re.IGNORECASE)

JSON = "application/json"

Probe = Callable[[], tuple[int, dict[str, object]]]


@dataclass(frozen=True)
class Content:
    """The body of a response and its media type."""

    body: bytes
    media_type: str = JSON

    @classmethod
    def of(cls, document: dict[str, object]) -> "Content":
        return cls(json.dumps(document, separators=(",", ":")).encode())


@dataclass(frozen=True)
class Endpoints:
    """The probes by path, and a function that returns the metrics, on another thread; None without metrics."""

    probes: Mapping[str, Probe]
    scrape: Callable[[str], tuple[int, Content]] | None = None


@dataclass(frozen=True)
class ManagementConfig:
    """What the owner passes on the command line; the descriptors are inherited."""

    owner_pid: int
    listener_fd: int | None
    """None without a port: the process then only exports metrics."""
    table_fd: int
    limits: HangLimits
    logging_level: str
    log_format: str
    is_restart: bool
    delay: float = 0.0
    has_metrics: bool = False
    metrics_directory: str | None = None
    slow_seconds: float = 0.0
    exporters: tuple[str, ...] = ()
    export_interval: float = 60.0

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "ManagementConfig":
        values = json.loads(text)
        return cls(**{**values, "limits": HangLimits(**values["limits"])})


class Connection(asyncio.Protocol):
    """One connection for one request; closed after the response."""

    def __init__(self, endpoints: Endpoints, connections: "dict[Connection, None]") -> None:
        self._endpoints = endpoints
        self._connections = connections
        self._received = b""
        self._transport: asyncio.Transport
        self._deadline: asyncio.TimerHandle
        self._scrape: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self._connections) >= MAX_CONNECTIONS:
            next(iter(self._connections)).abort()  # the oldest: a probe sends its request at once
        self._connections[self] = None
        self._deadline = asyncio.get_running_loop().call_later(CLIENT_SECONDS, self.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        self._connections.pop(self, None)

    def abort(self) -> None:
        """Close without waiting for the client."""
        self._connections.pop(self, None)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing() or self._scrape is not None:
            return
        self._received += data
        if len(self._received) > MAX_HEADER_SIZE:
            self._send(431, {"message": f"ERROR: The headers are larger than {MAX_HEADER_SIZE} bytes."})
        elif b"\r\n\r\n" in self._received or b"\n\n" in self._received:
            self._respond()

    def _respond(self) -> None:
        match = _REQUEST_LINE.match(self._received)
        if match is None:
            self._send(400, {"message": "ERROR: Not a valid HTTP request."})
            return
        method, target = (part.decode("ascii") for part in match.groups())
        path = target.partition("?")[0]
        probe = self._endpoints.probes.get(path.rstrip("/"))
        scrape = self._endpoints.scrape if path.rstrip("/") == METRICS else None
        if probe is None and scrape is None:
            self._send(404, {"message": f"ERROR: There is no route {path}."})
        elif method not in METHODS.split(", "):
            message = f"ERROR: {method} is not allowed here; use {METHODS}."
            self._send(405, {"message": message}, f"Allow: {METHODS}\r\n")
        elif probe is not None:
            self._send(*probe(), with_body=method != "HEAD")
        elif scrape is not None:
            found = _ACCEPT.search(self._received)
            accept = found[1].decode("ascii") if found else ""
            self._deadline.cancel()  # a scrape takes its time, the client does not
            self._scrape = asyncio.create_task(self._send_metrics(scrape, accept, with_body=method != "HEAD"))

    async def _send_metrics(
        self, scrape: Callable[[str], tuple[int, Content]], accept: str, *, with_body: bool
    ) -> None:
        """Send metrics; they are collected on a thread, so that probes are answered meanwhile."""
        status, content = await asyncio.to_thread(scrape, accept)
        if not self._transport.is_closing():
            self._deadline = asyncio.get_running_loop().call_later(CLIENT_SECONDS, self.abort)
            self._send_content(status, content, with_body=with_body)

    def _send(self, status: int, body: dict[str, object], headers: str = "", *, with_body: bool = True) -> None:
        self._send_content(status, Content.of(body), headers, with_body=with_body)

    def _send_content(self, status: int, content: Content, headers: str = "", *, with_body: bool = True) -> None:
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            f"Date: {formatdate(usegmt=True)}\r\n"
            f"Content-Type: {content.media_type}\r\nContent-Length: {len(content.body)}\r\n"
            f"X-Drum-Version: {__version__}\r\nConnection: close\r\n{headers}\r\n"
        )
        self._transport.write(head.encode() + (content.body if with_body else b""))
        self._transport.close()


async def serve(config: ManagementConfig) -> None:
    """Answer probes until the process that owns the server has ended."""
    table = StatusTable(config.table_fd)
    probes = Probes(table, config.limits)
    scrape = partial(_scrape, table, config.metrics_directory) if config.has_metrics else None
    slow_calls = partial(_slow_calls, table, config.slow_seconds)
    endpoints = Endpoints({"/livez": probes.liveness, "/readyz": probes.readiness, SLOW_CALLS: slow_calls}, scrape)
    connections: dict[Connection, None] = {}
    loop = asyncio.get_running_loop()
    if config.listener_fd is not None:
        listener = socket.socket(fileno=config.listener_fd)
        await loop.create_server(lambda: Connection(endpoints, connections), sock=listener)
    stopped = asyncio.Event()
    export = None
    if config.exporters:
        loop.add_reader(sys.stdin.fileno(), _on_stop, loop, stopped)
        export = await asyncio.to_thread(_start_export, table, config)
    if export is None and config.listener_fd is None:
        return
    while os.getppid() == config.owner_pid and not stopped.is_set():
        probes.find_workers()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stopped.wait(), OWNER_POLL_SECONDS)
    if export is not None:
        await asyncio.to_thread(export.stop, LAST_EXPORT_SECONDS)


def _on_stop(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    loop.remove_reader(sys.stdin.fileno())
    stopped.set()


def _start_export(table: StatusTable, config: ManagementConfig) -> "MetricsExport | None":
    """Start to export metrics; imports what that needs, and returns None without it."""
    try:
        from datarobot_drum.drum.management.metrics_export import MetricsExport, load_exporters
    except ImportError as error:
        logger.warning("Metrics are not exported: %s (pip install 'datarobot-drum[otel]').", error)
        return None
    exporters = load_exporters(config.exporters)
    if not exporters:
        return None
    return MetricsExport(exporters, table.metrics, config.metrics_directory, config.export_interval).start()


def _slow_calls(table: StatusTable, slow_seconds: float) -> tuple[int, dict[str, object]]:
    """Return the last slow predictions of all workers."""
    if not slow_seconds:
        return HTTPStatus.NOT_FOUND, {"message": "ERROR: Slow predictions are not kept: set DRUM_SLOW_SECONDS."}
    return HTTPStatus.OK, {"slow_seconds": slow_seconds, "predictions": table.slow_calls()}


def _scrape(table: StatusTable, directory: str | None, accept: str) -> tuple[int, Content]:
    """Return the metrics of all workers. The first call imports what it needs."""
    from datarobot_drum.drum.serving.scraping import scrape_server

    try:
        result = scrape_server(table.metrics(), directory, accept)
    except NotFound as error:
        return HTTPStatus.NOT_FOUND, Content.of({"message": f"ERROR: {error}"})
    except Exception as error:  # a file of model code may be broken
        logger.exception("A scrape failed.")
        return HTTPStatus.INTERNAL_SERVER_ERROR, Content.of({"message": f"ERROR: The scrape failed: {error}"})
    return HTTPStatus.OK, Content(result.content, result.media_type)


def main() -> None:
    """Serve as the command line says."""
    config = ManagementConfig.from_json(sys.argv[1])
    configure_logging(config.logging_level, config.log_format)
    if config.is_restart:
        logger.warning("The process of the management port had ended; it was restarted.")
        time.sleep(config.delay)
    asyncio.run(serve(config))


if __name__ == "__main__":
    main()
