"""A server while it runs: started on its own cores, watched from outside, ended with all that it has started."""

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

from benchmarks.compare.environments import Environment, Missing
from benchmarks.compare.servers import Server
from tests.processes import clean_environment, free_port

START_TIMEOUT = 120.0
STOP_TIMEOUT = 15.0
MIB = 1024 * 1024


@dataclass(frozen=True)
class Cores:
    """Which cores are the server's and which the load's; empty where a process cannot be tied to cores."""

    server: Sequence[int]
    load: Sequence[int]

    @classmethod
    def shared_out(cls, load: int = 1) -> "Cores":
        """The last ``load`` cores for the load, the others for the server; with a single core both share it."""
        if not hasattr(os, "sched_getaffinity"):
            return cls((), ())
        cores = sorted(os.sched_getaffinity(0))
        return cls(cores[:-load] or cores, cores[-load:])


@contextmanager
def on_cores(cores: Sequence[int]) -> Iterator[None]:
    """Children that this thread starts meanwhile inherit ``cores``, from their first instruction on."""
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
class Ask:
    """A request that tells whether a server predicts."""

    path: str
    content_type: str
    body: bytes


class Running:
    """A context manager: the server from its start to its end.

    Entering waits for the first 200 to ``ask``; ``start_seconds`` and ``start_cpu`` tell what that took.

    Raises:
        Missing: it ended, or did not answer in time.
    """

    def __init__(
        self,
        server: Server,
        environment: Environment,
        ask: Ask,
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
        if server.is_peer:  # what is put into the way of our own imports is no business of theirs
            self._variables.pop("PYTHONPATH", None)
        self._ask, self._cores, self._log = ask, cores, log
        self._folder = environment.files
        self.start_seconds = self.start_cpu = 0.0
        self._popen: subprocess.Popen[bytes]
        self._root: psutil.Process

    def __enter__(self) -> "Running":
        begin = time.perf_counter()
        self._start()
        try:
            self._wait(begin + START_TIMEOUT)
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.perf_counter() - begin
        self.start_cpu = self.cpu_seconds()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def processes(self) -> list[psutil.Process]:
        """The process and all that it has started, as far as they are alive."""
        with suppress(psutil.NoSuchProcess):
            return [self._root, *self._root.children(recursive=True)]
        return []

    def cpu_seconds(self) -> float:
        """Processor time of all processes, and of those that have ended already."""
        total = 0.0
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def memory(self) -> float:
        """MiB of all processes; what they share counts once, where the kernel tells."""
        total = 0
        for process in self.processes():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                full = process.memory_full_info()
                total += getattr(full, "pss", full.rss)
        return total / MIB

    def stop(self) -> None:
        """Ask it to end, and end what is left."""
        tree = self.processes()
        if self._popen.poll() is None:
            self._popen.terminate()
        _, left = psutil.wait_procs(tree, timeout=STOP_TIMEOUT)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=STOP_TIMEOUT)
        self._popen.wait(STOP_TIMEOUT)

    def _start(self) -> None:
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
                raise Missing(f"it does not start: {error}") from error
        self._root = psutil.Process(self._popen.pid)

    def _wait(self, deadline: float) -> None:
        last = "nothing listens"
        while time.perf_counter() < deadline:
            if self._popen.poll() is not None:
                raise Missing(f"it ended with {self._popen.returncode}: {self._last_error()}")
            try:
                status, _ = post(self.port, self._ask)
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)
                continue
            if status == 200:
                return
            last = f"it answers {status}"
            time.sleep(0.02)
        raise Missing(f"no prediction within {START_TIMEOUT:g} s ({last}): {self._last_error()}")

    def _last_error(self) -> str:
        """The last line of the log that tells of an error, else the last at all."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        telling = [line for line in lines if "Error" in line]
        return (telling or lines or ["no output"])[-1].strip()


def post(port: int, ask: Ask) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT)
    try:
        connection.request("POST", ask.path, ask.body, {"Content-Type": ask.content_type})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class PeakMemory:
    """The most memory that processes had at once, sampled by a thread; a context manager.

    Resident memory, what they share counted in each: to count it once takes the kernel far longer than a sample may.
    """

    def __init__(self, processes: Sequence[psutil.Process], interval: float) -> None:
        self._processes = processes
        self._interval = interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory")
        self.mib = 0.0

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.mib = max(self.mib, self._now())
            if self._over.wait(self._interval):
                return

    def _now(self) -> float:
        total = 0
        for process in self._processes:
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total / MIB
