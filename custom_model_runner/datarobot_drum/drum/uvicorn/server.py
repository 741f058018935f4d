"""One uvicorn server in one process, from its first probe to its last request."""

import asyncio
import logging
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import FrameType
from typing import Any

import uvicorn

from datarobot_drum.drum.fastapi.front_door import FrontDoor
from datarobot_drum.drum.management.reporting import BEAT_SECONDS, StatusReporter
from datarobot_drum.drum.management.status import WorkerStatus
from datarobot_drum.drum.model_loading.shared_model import inherited_model
from datarobot_drum.drum.process.memory_reuse import keep_freed_memory
from datarobot_drum.drum.process.sockets import BACKLOG, accept_pending
from datarobot_drum.drum.process.start_up import collect_as_usual
from datarobot_drum.drum.process.turn_taking import take_turns_quickly
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.serving.body.memory_budget import MemoryBudget
from datarobot_drum.drum.settings.build import Settings

logger = logging.getLogger(__name__)

BEAT_TICKS = int(BEAT_SECONDS / 0.1)
"""Ticks of uvicorn between two heartbeats."""

ACCEPT_PAUSE = 0.001
"""Seconds until a worker accepts its next connection, in which other workers accept theirs."""

ACCEPT_RETRY_SECONDS = 1.0
"""The same after a failure."""

FIRST_REQUEST_SECONDS = 1.0
"""How long a connection that was open before the listener closed may take to send its first request."""


class DrumServer(uvicorn.Server):
    """A uvicorn server that leaves without losing a request.

    At the first signal readiness fails, and for the lame-duck time connections are still taken, each answer asking its
    client to connect elsewhere. Then the listener closes, with whatever waits in it accepted first; requests finish,
    up to the graceful timeout. A second signal stops it now. It also ends when the model cannot be served.

    Args:
        on_beat: called every half second by the event loop.
        supervised: the parent supervises this worker. It forwards signals, so a second SIGTERM is an echo (a terminal
            or ``kill`` may have sent it to the whole group) and SIGQUIT means stop now.
    """

    def __init__(
        self,
        prediction_server: PredictionServer,
        on_beat: Callable[[], object],
        *,
        supervised: bool = False,
    ) -> None:
        settings = prediction_server.settings
        super().__init__(uvicorn_config(settings, prediction_server.app, prediction_server.core.limits.budget, self))
        self._prediction_server = prediction_server
        self._on_beat = on_beat
        self._supervised = supervised
        self._arriving: set[asyncio.Future[None]] = set()
        self._lame_duck = settings.server.lame_duck
        self._stop_at: float | None = None
        self.forced_shutdown = False
        """Whether the end came before that of every request in flight."""
        self._request_limit = _request_limit(settings)
        prediction_server.state.settled.add_done_callback(self._on_model_settled)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        if self._supervised:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGQUIT, self.handle_exit)
        super().run(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: drain, or stop now. Not kept for later, so the process does not die of it once drained."""
        if self._supervised and sig == signal.SIGINT:
            return
        if sig == signal.SIGQUIT or (self._stop_at is not None and not self._supervised):
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
        """uvicorn's, every tenth of a second; whether it is time to stop."""
        if self._request_limit and self.server_state.total_requests >= self._request_limit and self._stop_at is None:
            logger.info("Worker %d has served %d requests; it is replaced.", os.getpid(), self._request_limit)
            self._drain()
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        if counter % BEAT_TICKS == 0:
            self._on_beat()
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if not self._supervised:
            await super().startup(sockets)
            return
        await super().startup([])
        for listener in sockets or []:
            listener.setblocking(False)
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Accept one connection, then pause: uvloop would accept a whole burst in one worker."""
        pause = ACCEPT_PAUSE
        try:
            connection = listener.accept()[0]
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:  # out of file descriptors: connections wait in the backlog
            logger.error("Cannot accept connections: %s.", error)
            pause = ACCEPT_RETRY_SECONDS
        else:
            connection.setblocking(False)
            self._welcome(connection)
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        loop.call_later(pause, self._resume_accepting, listener)

    def _resume_accepting(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _welcome(self, connection: socket.socket) -> None:
        self._keep(self._connect(connection))

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        except OSError:  # its client has left
            connection.close()

    # What DrumProtocol asks; it goes with that.

    def connection_lost(self) -> None:
        """Nothing."""

    wants_to_part = False

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        begin = time.monotonic()
        if not self.force_exit:
            await self._close_listeners(sockets or [])
            await self._wait_for_first_requests()
        if not self._prediction_server.failed:
            self._log_drain()
        waiting_since = time.monotonic()
        await super().shutdown(sockets)
        patience = self.config.timeout_graceful_shutdown or 0
        self.forced_shutdown = self.force_exit or time.monotonic() - waiting_since >= patience
        if not self._prediction_server.failed:
            summary = self._prediction_server.request_log.summary()
            logger.info("Stopped after a drain of %.1f s: %s.", time.monotonic() - begin, summary)

    def _log_drain(self) -> None:
        in_flight = self._prediction_server.request_log.in_flight
        if in_flight:
            logger.info(
                "Waiting up to %d s for %d requests in flight.", self.config.timeout_graceful_shutdown, in_flight
            )

    async def _close_listeners(self, sockets: list[socket.socket]) -> None:
        """Close the listening sockets; connections that the kernel has accepted for us already are served."""
        for listener in sockets if self._supervised else ():
            asyncio.get_running_loop().remove_reader(listener)
        waiting = [connection for listener in sockets for connection in accept_pending(listener)]
        for server in self.servers:
            server.close()
        for listener in sockets:
            listener.close()
        for connection in waiting:
            connection.setblocking(False)
            self._welcome(connection)
        await asyncio.gather(*self._arriving)

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    async def _wait_for_first_requests(self) -> None:
        """A client that has connected is about to send: closing on it would lose its request."""
        deadline = time.monotonic() + FIRST_REQUEST_SECONDS
        while time.monotonic() < deadline and not self.force_exit:
            connections: set[Any] = self.server_state.connections
            if all(map(_was_asked, connections)):
                return
            await asyncio.sleep(0.01)

    def _on_model_settled(self, _: object) -> None:
        if self._prediction_server.failed:
            self.should_exit = True


def _request_limit(settings: Settings) -> int:
    limit = settings.server.fastapi_max_requests
    return limit + random.randint(0, settings.server.fastapi_max_requests_jitter) if limit else 0


def _was_asked(connection: Any) -> bool:
    """Whether a request has come; true for a protocol that does not tell."""
    return getattr(connection, "was_asked", False) or getattr(connection, "cycle", connection) is not None


def uvicorn_config(settings: Settings, app: Any, budget: MemoryBudget, host: DrumServer) -> uvicorn.Config:
    """uvicorn's configuration: our log, our headers, and its fastest loop and parser where they are installed.

    Args:
        budget: of the bodies that ``app`` holds in memory.
        host: of the connections.
    """
    return uvicorn.Config(
        app,
        http=_protocol_for(app, budget, host),
        loop="uvloop" if find_spec("uvloop") else "auto",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=int(settings.server.fastapi_keepalive),
        timeout_graceful_shutdown=int(settings.server.graceful_timeout),
    )


def _protocol_for(app: Any, budget: MemoryBudget, host: DrumServer) -> Any:
    """Ours, where uvicorn's fastest one can be built upon; its fast path is for an app that is ours alone."""
    if not find_spec("httptools"):
        return "auto"
    from datarobot_drum.drum.uvicorn.fast_path import FastPath
    from datarobot_drum.drum.uvicorn.protocol import DrumProtocol, protocol_is_known
    from datarobot_drum.drum.uvicorn.reading import Room

    if not protocol_is_known():
        return "httptools"
    fast_path = FastPath(app) if isinstance(app, FrontDoor) else None
    return partial(DrumProtocol, fast_path, Room(budget), host)


def load_for_workers() -> None:
    """Import what each worker imports when it begins to serve, in the process that is to fork them."""
    import_module("uvicorn.lifespan.on")
    if find_spec("uvloop"):
        import_module("uvloop")
    if find_spec("httptools"):
        import_module("datarobot_drum.drum.uvicorn.protocol")


def run_server(
    settings: Settings,
    listener: socket.socket,
    status: WorkerStatus,
    *,
    supervised: bool = False,
    on_drain: Callable[[], object] | None = None,
    on_beat: Callable[[], object] = lambda: None,
) -> int:
    """Serve until a signal ends it; return the exit code, 0 if every request in flight finished.

    Args:
        status: the row where this worker reports its state.
        supervised: the parent of this process supervises it.
        on_drain: called when the stop begins, perhaps in a signal handler.
        on_beat: called every half second by the event loop.

    Raises:
        StartupError: the model failed to load and there is no error server.
    """
    take_turns_quickly()
    keep_freed_memory()
    prediction_server = PredictionServer(settings, shared=inherited_model())
    reporter = StatusReporter(prediction_server, status)

    def beat() -> None:
        reporter.beat()
        on_beat()

    if supervised:
        prediction_server.worker_ctx.server_pid = os.getppid()
    if on_drain:
        prediction_server.worker_ctx.defer_drain(on_drain)
    prediction_server.state.settled.add_done_callback(lambda _: collect_as_usual())
    prediction_server.materialize(alone=True)
    server = DrumServer(prediction_server, beat, supervised=supervised)
    server.run([listener])
    prediction_server.raise_load_failure()
    return 1 if server.forced_shutdown else os.EX_OK
