"""The watchdog as the process that owns the server sees it."""

import faulthandler
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

from datarobot_drum.drum.management.closing import ClosingContext
from datarobot_drum.drum.management.watchdog.process import DISARM, FIRED, WatchdogConfig
from datarobot_drum.drum.management.watchdog.termination import KILL_SECONDS
from datarobot_drum.drum.process.signals import blocked_signals
from datarobot_drum.drum.settings.build import Settings

INIT = 1
"""The first process of a machine or container."""

EXIT_CODE = 1
CLOSE_SECONDS = 5.0

MAX_GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL, if the graceful timeout is not shorter."""

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
"""The address to request from a server that listens on all addresses."""


class Watchdog(ClosingContext):
    """Starts the watchdog's process, if the settings want one, and ends it; a context manager around serving."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._silence_limit = 0.0
        """Seconds without a beat after which this process exits; 0 for no limit."""

    def start(self, port: int) -> "Watchdog":
        """Watch this process, the parent of all others of the server, which listens on ``port``."""
        settings, server = self._settings, self._settings.server
        if not server.use_watchdog:
            return self
        config = WatchdogConfig(
            url=health_url(settings.host, port, settings.url_prefix, "https" if settings.access.tls else "http"),
            attempts=server.watchdog_attempts,
            timeout=server.watchdog_timeout,
            server_pid=os.getpid(),
            grace=min(MAX_GRACE, server.graceful_timeout),
            logging_level=settings.logging_level,
            log_format=server.log_format,
        )
        if config.server_pid == INIT:
            self._silence_limit = 2 * config.attempts * config.timeout + config.grace + 2 * KILL_SECONDS
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)
        command = [sys.executable, "-m", "datarobot_drum.drum.management.watchdog.process", config.to_json()]
        with theirs, blocked_signals(signal.SIGINT, signal.SIGTERM):
            self._process = subprocess.Popen(command, stdin=theirs.fileno())
        return self

    def beat(self) -> None:
        """Extend the deadline of a container's first process, which no signal from inside the container can kill.

        Without a call from the main loop for longer than the watchdog waits, the process exits with a traceback of each
        thread in the log, even while model code holds the GIL.
        """
        if self._silence_limit:
            faulthandler.dump_traceback_later(self._silence_limit, exit=True)

    def disarm(self) -> None:
        """Stop watching: the server stops by itself, however long that takes. A signal handler may call it."""
        if self._silence_limit:
            self._silence_limit = 0.0
            faulthandler.cancel_dump_traceback_later()
        if self._control is not None:
            with suppress(OSError):
                self._control.send(DISARM)

    @property
    def fired(self) -> bool:
        """Return whether the watchdog has started to end this server."""
        if self._control is not None:
            with suppress(OSError):
                return self._control.recv(1, socket.MSG_PEEK) == FIRED
        return False

    def exit_code(self, planned: int) -> int:
        """Return ``planned``, or the watchdog's code if that ends the server: it was no clean stop."""
        return EXIT_CODE if self.fired else planned

    def close_in_child(self) -> None:
        """Close the control socket in a forked process, so that the parent's end closes it for good."""
        if self._control is not None:
            self._control.close()
            self._control = None

    def close(self) -> None:
        """End the watchdog's process, unless it is ending this server: then it goes on until that is done."""
        self.disarm()
        if self._process is not None and not self.fired:
            try:
                self._process.wait(CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self.close_in_child()


def health_url(host: str, port: int, prefix: str, scheme: str = "http") -> str:
    """Return the address of ``/health/`` as seen from this machine."""
    host = _LOOPBACK.get(host, host)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{prefix}/health/"
