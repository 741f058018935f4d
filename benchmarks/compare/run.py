"""A run of one server: it is started, checked, measured with its workloads and stopped."""

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.compare.bodies import WireFormat
from benchmarks.compare.environments import Environment, MeasurementError
from benchmarks.compare.load import LoadResult, Plan
from benchmarks.compare.server_process import Cores, Request, ServerProcess, post
from benchmarks.compare.servers import BATCH, Server
from benchmarks.compare.workloads import NO_OP_BYTES, Workload

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-9
CHECKED_ROWS = 100
Values = dict[str, float]


@dataclass(frozen=True)
class Pace:
    """Durations and sizes: seconds of warm-up and of a measured load, MB of the large upload.

    ``workers`` is the number of processes of each server that supports it; the others have one.
    """

    warm: float
    seconds: float
    upload_megabytes: int
    workers: int = 1


class Run:
    """A server in its environment, to be measured.

    Args:
        folder: for logs, and for the bodies of the environment.
    """

    def __init__(self, server: Server, environment: Environment, cores: Cores, pace: Pace, folder: Path) -> None:
        self.server, self.cores, self.pace = server, cores, pace
        self._environment = environment
        self._folder = folder / server.name
        self._folder.mkdir(parents=True, exist_ok=True)
        self._content_type = server.wire_format.content_type if server.wire_format else "application/octet-stream"

    def running(self, workers: int | None = None, cores: Sequence[int] | None = None) -> ServerProcess:
        """Return the server process, a context manager; by default with the pace's workers on the server's cores."""
        workers, cores = workers or self.pace.workers, cores or self.cores.server
        log = self._folder / "log.txt"
        return ServerProcess(self.server, self._environment, self._request(1), cores=cores, log=log, workers=workers)

    def check(self, process: ServerProcess) -> None:
        """Raise MeasurementError unless the predictions are the estimator's."""
        if self.server.batches:
            self._check_together(process)
            return
        response = self._send(process, self._request(CHECKED_ROWS))
        if self.server.wire_format is not None:
            check_predictions(self.server.wire_format, response, self._expected()[:CHECKED_ROWS])
        elif response != self._request(CHECKED_ROWS).body:
            raise MeasurementError("it does not echo the body")

    def plan(self, process: ServerProcess, body: Path) -> Plan:
        return Plan(process.port, self.server.path, self._content_type, str(body), cores=self.cores.load)

    def plan_of(self, process: ServerProcess, workload: Workload, rows: int | None = None) -> Plan:
        """Return the load of a workload at the run's pace."""
        plan = self.plan(process, self.body(workload.rows if rows is None else rows))
        warm, seconds = (length * workload.duration_factor for length in (self.pace.warm, self.pace.seconds))
        return Plan(**{**asdict(plan), "clients": workload.clients, "warm": warm, "seconds": seconds})

    def body(self, rows: int) -> Path:
        """Return a file with ``rows`` rows of the data, repeated as needed, in the server's format."""
        if self.server.wire_format is None:
            return self._write("bytes", b"0123456789abcdef" * (NO_OP_BYTES // 16))
        path = self._folder / f"{rows}.body"
        if path.exists():
            return path
        data = self._environment.document("rows")
        return self._write(str(rows), self._table(self.server.wire_format, [data[n % len(data)] for n in range(rows)]))

    def large_body(self) -> Path:
        assert self.server.wire_format is not None
        path = self._folder / "large.body"
        if path.exists():
            return path
        names, _, rows = self._table(self.server.wire_format, self._environment.document("rows")).partition(b"\n")
        return self._write("large", names + b"\n" + rows * (self.pace.upload_megabytes * 1_000_000 // len(rows)))

    def _check_together(self, process: ServerProcess) -> None:
        """Send different rows at the same time, one per request: batched or not, each must get its own prediction."""
        wire_format = self.server.wire_format
        assert wire_format is not None
        data, expected = self._environment.document("rows")[:BATCH], self._expected()
        requests = [Request(self.server.path, self._content_type, self._table(wire_format, [row])) for row in data]
        with ThreadPoolExecutor(len(requests)) as threads:
            responses = threads.map(lambda request: self._send(process, request), requests)
            for response, one in zip(responses, expected, strict=False):
                check_predictions(wire_format, response, [one])

    def _send(self, process: ServerProcess, request: Request) -> bytes:
        status, response = post(process.port, request)
        if status != 200:
            raise MeasurementError(f"the check gets {status}: {_shown(response)}")
        return response

    def _request(self, rows: int) -> Request:
        return Request(self.server.path, self._content_type, self.body(rows).read_bytes())

    def _expected(self) -> list[float]:
        expected: list[float] = self._environment.document(f"{self.server.model}/expected")
        return expected

    def _table(self, wire_format: WireFormat, rows: Sequence[Sequence[float]]) -> bytes:
        return wire_format.write(self._environment.document("names"), rows)

    def _write(self, name: str, body: bytes) -> Path:
        path = self._folder / f"{name}.body"
        path.write_bytes(body)
        return path


def check_predictions(wire_format: WireFormat, response: bytes, expected: Sequence[float]) -> None:
    """Raise MeasurementError unless each row's prediction is the estimator's."""
    try:
        predicted = wire_format.read(json.loads(response))
    except (ValueError, LookupError, TypeError) as error:
        raise MeasurementError(f"its response cannot be read ({error!r}): {_shown(response)}") from error
    if len(predicted) != len(expected):
        raise MeasurementError(f"{len(predicted)} predictions for {len(expected)} rows")
    for number, (one, other) in enumerate(zip(predicted, expected, strict=True)):
        if not abs(one - other) <= TOLERANCE:  # also where either is not a number
            raise MeasurementError(f"it predicts {one!r} for row {number}, the estimator {other!r}")


def _shown(response: bytes) -> str:
    return response[:200].decode(errors="replace")


def run_load(plan: Plan) -> LoadResult:
    """Run the load in its own process; raises MeasurementError if the server failed under it."""
    words = [sys.executable, "-m", "benchmarks.compare.load"]
    done = subprocess.run(words, input=json.dumps(asdict(plan)), capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise MeasurementError(f"the load ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    result = LoadResult(**json.loads(done.stdout))
    if result.failure:
        raise MeasurementError(result.failure)
    return result
