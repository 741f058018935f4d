"""The watchdog as the process that owns the server sees it."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from types import TracebackType

from datarobot_drum.drum.management.watchdog.process import FIRED, STAND_DOWN, WatchdogConfig
from datarobot_drum.drum.management.watchdog.termination import INIT, LAST_SIGNAL
from datarobot_drum.drum.process.signals import blocked_signals
from datarobot_drum.drum.settings.build import Settings

EXIT_CODE = 1
CLOSE_SECONDS = 5.0

MOST_GRACE = 10.0
"""Seconds that a server which can still stop by itself gets for its requests in flight, if its graceful timeout is not
shorter."""

_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
"""Where a server is asked that listens on all addresses."""


class Watchdog:
    """Starts the watchdog's process, if the settings want one, and ends it: a context manager around serving."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    def start(self, port: int) -> "Watchdog":
        """Watch this process, the parent of all others of the server; ``port`` is the one that is listened on."""
        settings, server = self._settings, self._settings.server
        if not server.use_watchdog:
            return self
        orders = WatchdogConfig(
            url=health_url(settings.host, port, settings.url_prefix),
            attempts=server.watchdog_attempts,
            timeout=server.watchdog_timeout,
            server_pid=os.getpid(),
            grace=min(MOST_GRACE, server.graceful_timeout),
            logging_level=settings.logging_level,
            log_format=server.log_format,
        )
        if orders.server_pid == INIT:
            _exit_on(LAST_SIGNAL)
        self._line, theirs = socket.socketpair()
        self._line.setblocking(False)
        command = [sys.executable, "-m", "datarobot_drum.drum.management.watchdog.process", orders.to_json()]
        with theirs, blocked_signals(signal.SIGINT, signal.SIGTERM):
            self._process = subprocess.Popen(command, stdin=theirs.fileno())
        return self

    def disarm(self) -> None:
        """The server leaves by itself, however long that takes: stop watching. A signal handler may call it."""
        if self._line is not None:
            with suppress(OSError):
                self._line.send(STAND_DOWN)

    @property
    def fired(self) -> bool:
        """Whether the watchdog has begun to end this server."""
        if self._line is not None:
            with suppress(OSError):
                return self._line.recv(1, socket.MSG_PEEK) == FIRED
        return False

    def exit_code(self, planned: int) -> int:
        """``planned``, unless the watchdog is why the server ends: nobody may take that for a clean stop."""
        return EXIT_CODE if self.fired else planned

    def close_in_child(self) -> None:
        """In a forked process: leave the line to the parent, so that its end is the end of the line."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def close(self) -> None:
        """End the watchdog, unless it is ending this server: then it goes on until that is done."""
        self.disarm()
        if self._process is not None and not self.fired:
            try:
                self._process.wait(CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self.close_in_child()

    def __enter__(self) -> "Watchdog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def health_url(host: str, port: int, prefix: str) -> str:
    """The address of ``/health/``, asked from this machine."""
    host = _HERE.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{prefix}/health/"


def _exit_on(number: signal.Signals) -> None:
    """Let ``number`` end this process, whatever holds its interpreter.

    The kernel keeps a container's first process from every signal sent inside the container that it has no handler
    for, SIGKILL included; and a handler in Python would wait for the interpreter. So the handler is the C function
    ``_exit``, and the signal's number becomes the exit code.
    """
    import ctypes

    library = ctypes.CDLL(None)
    library.signal(int(number), ctypes.cast(library._exit, ctypes.c_void_p))
