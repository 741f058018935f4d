"""Server processes of tests: start, wait for readiness, send requests, stop."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil

from datarobot_drum.drum.settings.arguments import variable_names

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
FIRST_PORT, PORTS, PROCESSES = 12_000, 2_500, 8

PLAIN: dict[str, Any] = {"trust_env": False, "verify": False}
"""No proxy, and no certificates, whose loading takes longer than a request."""

_FOREIGN_PREFIXES = ("DRUM_", "MLOPS_", "UVICORN_", "GUNICORN_", "AIP_", "SAGEMAKER_")
_FOREIGN_NAMES = ("CUSTOM_MODEL_WORKERS", "URL_PREFIX", "TARGET_NAME", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "PORT")


class RunningServer:
    """A server process in a session of its own; a context manager that starts and stops it.

    Args:
        arguments: what follows ``drum server`` on the command line; ``--address`` is added.
        log: file that receives standard output and standard error.
        environment: variables on top of those of the machine without any that drum reads.
        command: another program instead of ``drum server``; ``{port}`` in its words, and in variables, is replaced.
        ready: path below ``prefix`` that responds 200 once the server is up; None to start without waiting.
        prefix: the ``URL_PREFIX`` that the environment sets.
        folder: the working folder of the process.
    """

    def __init__(
        self,
        *arguments: str | Path,
        log: Path,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] | None = None,
        ready: str | None = "/readyz",
        prefix: str = "",
        folder: Path | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}{prefix}"
        self.client = httpx.Client(base_url=self.url, timeout=60.0, **PLAIN)
        self._prefix = prefix
        self._log = log
        self._ready = ready
        self._folder = folder
        variables = {name: value.replace("{port}", str(self.port)) for name, value in (environment or {}).items()}
        self._environment = {**clean_environment(), **variables}
        drum = [sys.executable, "-m", "datarobot_drum", "server", "--address", f"127.0.0.1:{self.port}"]
        self._command = [word.replace("{port}", str(self.port)) for word in command or ()] or drum
        self._command += [str(argument) for argument in arguments]
        self.process: subprocess.Popen[bytes]

    def start(self) -> "RunningServer":
        """Start the process and wait until it is ready, unless ``ready`` is None."""
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )
        if self._ready is not None:
            self.wait_ready(self._ready)
        return self

    def wait_ready(self, path: str = "/readyz") -> None:
        """Wait until ``path`` responds 200; fail with the log if the process exits or on a timeout."""
        self.wait_until(lambda: self.status(path) == 200, f"200 from {path}")

    def wait_until(self, happened: Callable[[], bool], what: str, timeout: float = START_TIMEOUT) -> None:
        """Wait until ``happened`` returns true; fail with the log if the process exits or on a timeout."""
        deadline = time.monotonic() + timeout
        while not happened():
            assert self.process.poll() is None, f"ended with {self.process.returncode}, no {what}:\n{self.log_end()}"
            assert time.monotonic() < deadline, f"no {what}:\n{self.log_end()}"
            time.sleep(0.02)

    def status(self, path: str) -> int | None:
        """Return the status of a GET on a new connection; None if there is no response."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10.0)
        try:
            connection.request("GET", self._prefix + path)
            return connection.getresponse().status
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    def log(self) -> str:
        """Return everything that the process and its children have written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def log_end(self) -> str:
        """Return the end of the log, for failure messages."""
        return self.log()[-4000:]

    def send_signal(self, number: signal.Signals, *, to_group: bool = False) -> None:
        """Signal the process that was started, or its whole group as a terminal does."""
        if to_group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """Wait until the process and all its children have exited; return the exit code."""
        exit_code = self.process.wait(timeout)
        deadline = time.monotonic() + timeout
        while self.processes():
            assert time.monotonic() < deadline, f"processes were left behind:\n{self.log_end()}"
            time.sleep(0.02)
        return exit_code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server by a signal; fail if its exit code is not 0."""
        self.client.close()
        if self.process.poll() is None:
            self.send_signal(number)
        exit_code = self.wait()
        assert exit_code == 0, f"exit code {exit_code}:\n{self.log_end()}"

    def kill(self) -> None:
        """Kill all processes that are left, after a failure or a partial kill."""
        self.client.close()
        while processes := self.processes():
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.02)
        self.process.wait(STOP_TIMEOUT)

    def processes(self) -> list[psutil.Process]:
        """Return all processes of the server that still run, zombies excluded; workers may lead groups of their own."""
        return [process for process in psutil.process_iter() if _runs_in_session(process, self.process.pid)]

    def __enter__(self) -> "RunningServer":
        try:
            return self.start()
        except BaseException:
            self.kill()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None and self.process.poll() is None:
                self.stop()
        finally:
            self.kill()


def has_ended(process: "psutil.Process | subprocess.Popen[bytes]") -> bool:
    """Return whether a process has ended; one that waits to be reaped has."""
    try:
        if isinstance(process, psutil.Process) and not process.is_running():  # its number belongs to another process
            return True
        return bool(psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _runs_in_session(process: psutil.Process, session: int) -> bool:
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def free_port() -> int:
    """Return an unused TCP port of the loopback address.

    Not an ephemeral port: the kernel could give it to a client before the server has bound it.
    Each process of a parallel test run has its own range; another run on the machine starts elsewhere in it.
    """
    for port in _ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise AssertionError("no port is free")


def _own_ports() -> list[int]:
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PROCESSES
    own = range(FIRST_PORT + number * PORTS, FIRST_PORT + (number + 1) * PORTS)
    begin = random.SystemRandom().randrange(PORTS)
    return [*own[begin:], *own[:begin]]


_ports = cycle(_own_ports())


def clean_environment() -> dict[str, str]:
    """Return the environment of the machine without variables that drum reads."""
    foreign = variable_names().union(_FOREIGN_NAMES)
    return {
        name: value
        for name, value in os.environ.items()
        if name not in foreign and not name.startswith(_FOREIGN_PREFIXES)
    }
