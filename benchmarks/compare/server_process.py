"""A server process: started on its own cores, observed from outside, stopped with all its children."""

import http.client
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

from benchmarks.compare.environments import Environment, MeasurementError
from benchmarks.compare.servers import Server
from tests.processes import clean_environment, free_port

START_TIMEOUT = 120.0
STOP_TIMEOUT = 15.0
MIB = 1024 * 1024


@dataclass(frozen=True)
class Cores:
    """The cores of the server and of the load; empty where CPU affinity is not supported."""

    server: Sequence[int]
    load: Sequence[int]

    @classmethod
    def assigned(cls, load: int = 1) -> "Cores":
        """Assign the last ``load`` cores to the load, the others to the server; a single core is shared."""
        if not hasattr(os, "sched_getaffinity"):
            return cls((), ())
        cores = sorted(os.sched_getaffinity(0))
        return cls(cores[:-load] or cores, cores[-load:])


@contextmanager
def on_cores(cores: Sequence[int]) -> Iterator[None]:
    """Set the CPU affinity of children that this thread starts meanwhile."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Request:
    """A request that checks whether the server predicts."""

    path: str
    content_type: str
    body: bytes


class ServerProcess:
    """A context manager that runs the server.

    Entering waits for the first 200 to ``request``; ``start_seconds`` and ``start_cpu`` are the costs of the
    start.

    Raises:
        MeasurementError: the process ended, or did not respond in time.
    """

    def __init__(
        self,
        server: Server,
        environment: Environment,
        request: Request,
        *,
        cores: Sequence[int],
        log: Path,
        workers: int = 1,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        ports = {"port": self.port, "port2": free_port(), "port3": free_port()}
        fill = {**ports, "workers": workers}
        self._command = environment.words(server.command, **fill)
        given = {name: environment.fill(value, **fill) for name, value in server.variables.items()}
        path = f"{environment.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        self._variables = {**clean_environment(), "PATH": path, **given, **(variables or {})}
        if server.is_peer:  # our import path is not theirs
            self._variables.pop("PYTHONPATH", None)
        self._request, self._cores, self._log = request, cores, log
        self._folder = environment.files
        self.start_seconds = self.start_cpu = 0.0
        self._popen: subprocess.Popen[bytes]
        self._root: psutil.Process

    def __enter__(self) -> "ServerProcess":
        start = time.perf_counter()
        self._spawn()
        try:
            self._wait(start + START_TIMEOUT)
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.perf_counter() - start
        self.start_cpu = self.cpu_seconds()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def processes(self) -> list[psutil.Process]:
        """Return the process and its living descendants."""
        with suppress(psutil.NoSuchProcess):
            return [self._root, *self._root.children(recursive=True)]
        return []

    def cpu_seconds(self) -> float:
        """Return the CPU time of all processes, including those that have exited."""
        total = 0.0
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def memory(self) -> float:
        """Return the MiB of all processes; shared pages count once where the kernel reports them."""
        total = 0
        for process in self.processes():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                full = process.memory_full_info()
                total += getattr(full, "pss", full.rss)
        return total / MIB

    def stop(self) -> None:
        """Terminate the server and kill what is left."""
        tree = self.processes()
        if self._popen.poll() is None:
            self._popen.terminate()
        _, left = psutil.wait_procs(tree, timeout=STOP_TIMEOUT)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=STOP_TIMEOUT)
        self._popen.wait(STOP_TIMEOUT)

    def _spawn(self) -> None:
        with self._log.open("wb") as log, on_cores(self._cores):
            try:
                self._popen = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self._variables,
                    cwd=self._folder,
                    start_new_session=True,
                )
            except OSError as error:
                raise MeasurementError(f"it does not start: {error}") from error
        self._root = psutil.Process(self._popen.pid)

    def _wait(self, deadline: float) -> None:
        last = "nothing listens"
        while time.perf_counter() < deadline:
            if self._popen.poll() is not None:
                raise MeasurementError(f"it ended with {self._popen.returncode}: {self._last_error()}")
            try:
                status, _ = post(self.port, self._request)
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)
                continue
            if status == 200:
                return
            last = f"it responds {status}"
            time.sleep(0.02)
        raise MeasurementError(f"no prediction within {START_TIMEOUT:g} s ({last}): {self._last_error()}")

    def _last_error(self) -> str:
        """Return the last line of the log with an error, else the last line."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        errors = [line for line in lines if "Error" in line]
        return (errors or lines or ["no output"])[-1].strip()


def post(port: int, request: Request) -> tuple[int, bytes]:
    """Send a request on a new connection and return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT)
    try:
        connection.request("POST", request.path, request.body, {"Content-Type": request.content_type})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class PeakMemory:
    """A context manager that samples the peak memory of processes in a thread.

    It is resident memory, with shared pages counted in each process: counting them once takes far longer than a
    sample may.
    """

    def __init__(self, processes: Sequence[psutil.Process], interval: float) -> None:
        self._processes = processes
        self._interval = interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory")
        self.mib = 0.0

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.mib = max(self.mib, self._now())
            if self._stopped.wait(self._interval):
                return

    def _now(self) -> float:
        total = 0
        for process in self._processes:
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total / MIB
