"""The management process, and what it shares with the workers: started, restarted and ended by the server."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.drum.management.closing import ClosingContext
from datarobot_drum.drum.management.hang_limits import HangLimits
from datarobot_drum.drum.management.metrics_directory import MetricsDirectory
from datarobot_drum.drum.management.process import LAST_EXPORT_SECONDS, STOP, ManagementConfig
from datarobot_drum.drum.management.status import StatusTable
from datarobot_drum.drum.process.signals import blocked_signals
from datarobot_drum.drum.process.sockets import bind, check_address
from datarobot_drum.drum.serving.scraping import MISSING_EXTRA, has_extra
from datarobot_drum.drum.settings.build import Settings

RESTART_INTERVAL = 2.0
"""Minimum seconds between two starts of the process: one that ends at once would end again."""

MODULE = "datarobot_drum.drum.management.process"


def check_management_settings(settings: Settings) -> None:
    """Check that the management port and the metrics can be served, without listening.

    Raises:
        StartupError: they cannot; the message says why.
    """
    if settings.server.metrics == "all" and not has_extra():
        raise StartupError(f"DRUM_METRICS=all: {MISSING_EXTRA}")
    port = settings.server.management_port
    if port and port == settings.port:
        raise StartupError(f"DRUM_MANAGEMENT_PORT={port} is the port of --address: choose another one.")


def check_management_port(settings: Settings) -> None:
    """Make sure that the management port, if there is one, can be listened on.

    Raises:
        StartupError: it cannot, or as ``check_management_settings``.
    """
    check_management_settings(settings)
    if settings.server.management_port:
        check_address(settings.host, settings.server.management_port)


class ManagementProcess(ClosingContext):
    """The table of the workers' states, the directory of the metrics of model code, and the management process.

    The process runs if the settings have a management port, or export metrics. A context manager around the whole life
    of the server: it starts the process before the model loads.
    """

    def __init__(self, settings: Settings) -> None:
        self.limits = HangLimits.of(settings.server)
        self.table = StatusTable.create()
        self._exporters = settings.tracing.metric_exporters
        self._export_interval = settings.tracing.metric_interval
        self._has_metrics = settings.server.has_metrics or bool(self._exporters)
        self._slow_seconds = settings.server.slow_seconds
        self._metrics = MetricsDirectory()
        self._address = (settings.host, settings.server.management_port)
        self._logging = (settings.logging_level, settings.server.log_format)
        self._listener: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    def start(self) -> "ManagementProcess":
        """Listen, and start the process.

        Raises:
            StartupError: the port is taken.
        """
        if self._address[1]:
            self._listener = bind(*self._address)
            self._listener.set_inheritable(False)
            # A forked worker that outlives the server would keep the port.
            os.register_at_fork(after_in_child=self._listener.close)
        if self._has_metrics:
            self._metrics.create()
        if self._listener is not None or self._exporters:
            self._start_process(is_restart=False)
        return self

    def restart_if_ended(self) -> None:
        """Start the process again if it has ended; to be called now and then. A signal handler may call it."""
        if self._process is not None and self._process.poll():  # without a port or exporters it ends with 0
            self._start_process(is_restart=True)

    def _start_process(self, *, is_restart: bool) -> None:
        """Start the process. A restart serves once the interval since the last start is over, but never blocks here."""
        listener = None if self._listener is None else self._listener.fileno()
        delay = max(0.0, self._started + RESTART_INTERVAL - time.monotonic()) if is_restart else 0.0
        config = ManagementConfig(
            os.getpid(),
            listener,
            self.table.fd,
            self.limits,
            *self._logging,
            is_restart=is_restart,
            delay=delay,
            has_metrics=self._has_metrics,
            metrics_directory=self._metrics.path,
            slow_seconds=self._slow_seconds,
            exporters=self._exporters,
            export_interval=self._export_interval,
        )
        self._started = time.monotonic() + delay
        # What stops the server's whole group is for the server: this process ends with it.
        with blocked_signals(signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE, config.to_json()],
                stdin=subprocess.PIPE if self._exporters else subprocess.DEVNULL,
                pass_fds=[fd for fd in (listener, self.table.fd) if fd is not None],
            )

    def close(self) -> None:
        """End the process, once it has exported the last metrics. It has no other state, so it is killed."""
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                with suppress(OSError, subprocess.TimeoutExpired):
                    process.communicate(STOP, LAST_EXPORT_SECONDS + 1)
            process.kill()
            process.wait()
        if self._listener is not None:
            self._listener.close()
        self._metrics.close()
