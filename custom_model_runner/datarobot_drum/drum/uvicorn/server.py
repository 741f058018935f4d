"""One uvicorn server in one process, from its first probe to its last request."""

import asyncio
import logging
import math
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from datarobot_drum.drum.management.reporting import BEAT_SECONDS, StatusReporter
from datarobot_drum.drum.management.status import WorkerStatus
from datarobot_drum.drum.model_loading.shared_model import inherited_model
from datarobot_drum.drum.process.hook_signals import ignore_signal
from datarobot_drum.drum.process.paced_listener import PLAIN, PacedListener, Security, connect_all
from datarobot_drum.drum.process.signals import stop_signals
from datarobot_drum.drum.process.sockets import BACKLOG, accept_pending
from datarobot_drum.drum.process.tls import TlsContexts
from datarobot_drum.drum.process.tuning import freeze_loaded_objects, shorten_switch_interval
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.root_predictors.start_example import log_example
from datarobot_drum.drum.serving.metrics.families import LOOP_LAG
from datarobot_drum.drum.serving.request_head import HEAD_SECONDS
from datarobot_drum.drum.settings.build import Settings
from datarobot_drum.drum.uvicorn.grpc_port import new_grpc_port
from datarobot_drum.drum.uvicorn.protocol import LimitedHeadersProtocol, check_connections

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.1
"""Time between two ticks of uvicorn."""

BEAT_TICKS = round(BEAT_SECONDS / TICK_SECONDS)
"""Ticks of uvicorn between two heartbeats."""

FIRST_REQUEST_SECONDS = 1.0
"""Seconds in which a connection that was open before the listener closed may send its first request."""


class DrumServer(uvicorn.Server):
    """A uvicorn server that stops without losing a request.

    At the first signal readiness fails. For the lame-duck time connections are still accepted, and each response has
    ``Connection: close``. Then the connections in the backlog are accepted and the listener closes. Requests finish, up
    to the graceful timeout. A second signal stops at once. The server also stops when the model cannot be served.

    Args:
        on_beat: called every half second by the event loop.
        supervised: the parent supervises this worker. It forwards signals, so a second SIGTERM is a repetition (a
            terminal or ``kill`` may have sent it to the whole group) and SIGQUIT means stop at once.
        takes_backlog: returns whether this worker serves the backlog when it stops; else other workers do.
    """

    def __init__(
        self,
        prediction_server: PredictionServer,
        on_beat: Callable[[], object],
        *,
        supervised: bool = False,
        takes_backlog: Callable[[], bool] = lambda: True,
    ) -> None:
        settings = prediction_server.settings
        super().__init__(uvicorn_config(settings, prediction_server.app))
        self._prediction_server = prediction_server
        self._on_beat = on_beat
        self._supervised = supervised
        self._takes_backlog = takes_backlog
        self._security = _security(settings)
        self._paced_listeners: list[PacedListener] = []
        self._lame_duck = settings.server.lame_duck
        self._graceful_timeout = settings.server.graceful_timeout
        self._stop_at: float | None = None
        self._next_tick = 0.0
        self.forced_shutdown = False
        """True if the server stopped before every request in flight had finished."""
        self._request_limit = _request_limit(settings)
        self._grpc = new_grpc_port(settings, prediction_server.core)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        if self._supervised:
            signal.signal(signal.SIGINT, ignore_signal)
            signal.signal(signal.SIGQUIT, self.handle_exit)
        else:
            for number in set(stop_signals()).difference(uvicorn.server.HANDLED_SIGNALS):
                signal.signal(number, self.handle_exit)
        super().run(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain, or stop at once. Signals are not kept for uvicorn, which would repeat them after the drain."""
        if self._supervised and sig == signal.SIGINT:
            return
        is_second = self._stop_at is not None and sig != signal.SIGHUP  # a terminal and its shell may both send it
        if sig == signal.SIGQUIT if self._supervised else is_second:
            self.force_exit = self.should_exit = True
        self._drain()

    def _drain(self) -> None:
        """Fail readiness, and stop once the lame-duck time is over. Takes no lock: signal handlers call it."""
        if self._stop_at is not None:
            return
        self._prediction_server.worker_ctx.drain()
        self._stop_at = time.monotonic() + self._lame_duck
        if not self.started:
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Return whether it is time to stop; uvicorn calls it every tenth of a second."""
        self._observe_lag()
        requests = self.server_state.total_requests + (self._grpc.calls if self._grpc else 0)
        if self._request_limit and requests >= self._request_limit and self._stop_at is None:
            logger.info("Worker %d has served %d requests; it is replaced.", os.getpid(), self._request_limit)
            self._drain()
        has_drained = self._stop_at is not None and time.monotonic() >= self._stop_at
        if has_drained or self._prediction_server.failed:
            self.should_exit = True
        if counter % BEAT_TICKS == 0:
            self._on_beat()
        return await super().on_tick(counter)

    def _observe_lag(self) -> None:
        """Record how late this tick of the event loop is."""
        now, due = time.monotonic(), self._next_tick
        self._next_tick = now + TICK_SECONDS
        if due:
            self._prediction_server.recorder.observe(LOOP_LAG, max(0.0, now - due))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self._start_http(sockets)
        if self._grpc is not None and not self.should_exit:
            await self._grpc.start()

    async def _start_http(self, sockets: list[socket.socket] | None) -> None:
        check_connections(self.server_state.connections, asyncio.get_running_loop())
        if not self._supervised and self._security is PLAIN:
            await super().startup(sockets)
            return
        await super().startup([])
        self._paced_listeners = [
            PacedListener(listener, self._new_protocol, self._security) for listener in sockets or []
        ]
        for listener in self._paced_listeners:
            listener.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        start = time.monotonic()
        if not self.force_exit:
            await self._close_listeners(sockets or [])
            await self._wait_for_first_requests()
        if not self._prediction_server.failed:
            self._log_drain()
        await super().shutdown(sockets)
        if self._grpc is not None:
            await self._grpc.stop(0)
        self.forced_shutdown = self.forced_shutdown or self.force_exit
        if not self._prediction_server.failed:
            summary = self._prediction_server.request_log.summary()
            logger.info("Stopped after a drain of %.1f s: %s.", time.monotonic() - start, summary)

    async def _wait_tasks_to_complete(self) -> None:
        """Wait for requests in flight; uvicorn cancels this at the graceful timeout. Lifespans end later."""
        grpc_calls = asyncio.create_task(self._grpc.stop(self._graceful_timeout)) if self._grpc else None
        try:
            await super()._wait_tasks_to_complete()
            if grpc_calls:
                await grpc_calls
        except asyncio.CancelledError:
            self.forced_shutdown = True
            raise

    def _log_drain(self) -> None:
        in_flight = self._prediction_server.request_log.in_flight
        if in_flight:
            logger.info(
                "Waiting up to %d s for %d requests in flight.", self.config.timeout_graceful_shutdown, in_flight
            )

    async def _close_listeners(self, sockets: list[socket.socket]) -> None:
        """Close the listening sockets, and serve the connections in their backlog, which closing would reset."""
        for paced in self._paced_listeners:
            await paced.stop()
        listeners = sockets if self._takes_backlog() else []
        pending = [connection for listener in listeners for connection in accept_pending(listener)]
        for server in self.servers:
            server.close()
        for listener in sockets:
            listener.close()
        await connect_all(pending, self._new_protocol, self._security)

    def _new_protocol(self) -> asyncio.Protocol:
        new_protocol: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = new_protocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    async def _wait_for_first_requests(self) -> None:
        """Wait for the first request of new connections: closing would lose a request that is on its way."""
        deadline = time.monotonic() + FIRST_REQUEST_SECONDS
        while time.monotonic() < deadline and not self.force_exit:
            if all(
                getattr(connection, "cycle", connection) is not None for connection in self.server_state.connections
            ):
                return
            await asyncio.sleep(0.01)


def _security(settings: Settings) -> Security:
    """Return how connections are secured. uvicorn itself has one TLS context for its whole life."""
    files = settings.access.tls
    if files is None:
        return PLAIN
    return Security(TlsContexts(files), settings.server.upload_timeout or HEAD_SECONDS)


def _request_limit(settings: Settings) -> int:
    limit = settings.server.fastapi_max_requests
    return limit + random.randint(0, settings.server.fastapi_max_requests_jitter) if limit else 0


def uvicorn_config(settings: Settings, app: object) -> uvicorn.Config:
    """Return uvicorn's configuration: our logs and headers, its fastest event loop and parser."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=partial(  # type: ignore[arg-type]
            LimitedHeadersProtocol, settings.server.upload_timeout, settings.server.write_timeout
        ),
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=math.ceil(settings.server.fastapi_keepalive),
        timeout_graceful_shutdown=math.ceil(settings.server.graceful_timeout),
    )


def run_server(
    settings: Settings,
    listener: socket.socket,
    status: WorkerStatus,
    *,
    supervised: bool = False,
    on_drain: Callable[[], object] = lambda: None,
    on_beat: Callable[[], object] = lambda: None,
) -> int:
    """Serve until a signal ends it; return the exit code, 0 if every request in flight finished.

    Args:
        status: the row where this worker reports its state.
        supervised: the parent of this process supervises it.
        on_drain: called when the drain starts, possibly in a signal handler.
        on_beat: called every half second by the event loop.

    Raises:
        StartupError: the model failed to load and there is no error server.
    """
    shorten_switch_interval()
    prediction_server = PredictionServer(settings, shared=inherited_model())
    reporter = StatusReporter(prediction_server, status)

    def beat() -> None:
        reporter.beat()
        on_beat()

    if supervised:
        prediction_server.worker_ctx.server_pid = os.getppid()
    prediction_server.worker_ctx.defer_drain(on_drain)
    prediction_server.state.finished.add_done_callback(lambda _: freeze_loaded_objects())
    prediction_server.state.finished.add_done_callback(lambda _: log_example(prediction_server))
    prediction_server.materialize()
    server = DrumServer(
        prediction_server,
        beat,
        supervised=supervised,
        takes_backlog=lambda: not supervised or status.server_is_stopping(),
    )
    server.run([listener])
    prediction_server.raise_load_failure()
    return 1 if server.forced_shutdown else os.EX_OK
