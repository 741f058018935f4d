"""One visit: a server is started, checked, measured with its workloads and ended."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.compare.bodies import Dialect
from benchmarks.compare.environments import Environment, Missing
from benchmarks.compare.figures import percentile
from benchmarks.compare.load import Outcome, Plan
from benchmarks.compare.running import Ask, Cores, PeakMemory, Running, post
from benchmarks.compare.servers import Server
from benchmarks.compare.workloads import NO_OP_BYTES, WORKERS, Workload

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-9
Values = dict[str, float]


@dataclass(frozen=True)
class Pace:
    """How long and how large: seconds of warm-up and of measuring a load, MB of the large upload.

    ``workers`` are the processes of each server that takes their number; the others keep to one.
    """

    warm: float
    seconds: float
    upload_megabytes: int
    workers: int = 1


class Visit:
    """A server in its environment, about to be measured.

    Args:
        folder: for bodies and logs; all bodies of the visit's environment lie there.
    """

    def __init__(self, server: Server, environment: Environment, cores: Cores, pace: Pace, folder: Path) -> None:
        self._server, self._environment, self._cores, self._pace = server, environment, cores, pace
        self._folder = folder / server.name
        self._folder.mkdir(parents=True, exist_ok=True)
        self._content_type = server.dialect.content_type if server.dialect else "application/octet-stream"

    def measure(self, workloads: Sequence[Workload]) -> Iterator[tuple[str, Values]]:
        """The figures of each workload, by its name.

        Raises:
            Missing: the server does not start, or what it predicts is not what the estimator does.
        """
        with self._running() as running:
            self._check(running)
            for workload in workloads:
                if workload.kind == "start":
                    yield workload.name, {"seconds": running.start_seconds, "cpu_seconds": running.start_cpu}
                if workload.kind == "load":
                    yield workload.name, self._load(running, workload)
        for workload in workloads:
            if workload.kind == "upload":
                yield workload.name, self._upload()
            if workload.kind == "memory":
                yield workload.name, self._memory()

    def _running(self, workers: int | None = None) -> Running:
        workers = workers or self._pace.workers
        ask = Ask(self._server.path, self._content_type, self._body(1).read_bytes())
        log = self._folder / "log.txt"
        return Running(self._server, self._environment, ask, cores=self._cores.server, log=log, workers=workers)

    def _check(self, running: Running) -> None:
        body = self._body(100).read_bytes()
        status, answer = post(running.port, Ask(self._server.path, self._content_type, body))
        if status != 200:
            raise Missing(f"a table of 100 rows is answered {status}: {answer[:200].decode(errors='replace')}")
        if self._server.dialect is None:
            if answer != body:
                raise Missing("it does not give back what it was sent")
            return
        check_predictions(self._server.dialect, answer, self._environment.document("expected")[:100])

    def _load(self, running: Running, workload: Workload) -> Values:
        pace = self._pace
        plan = self._plan(running, self._body(workload.rows))
        plan = replace(plan, clients=workload.clients, warm=pace.warm, seconds=pace.seconds)
        before = running.cpu_seconds()
        with PeakMemory(running.processes(), interval=0.1) as peak:
            outcome = run_load(plan)
        cpu = running.cpu_seconds() - before
        if not outcome.times:
            raise Missing(f"no answer to {workload.title} within {pace.seconds:g} s")
        return {
            "requests_per_second": len(outcome.times) / outcome.seconds,
            "p50_ms": 1000 * percentile(outcome.times, 0.5),
            "p99_ms": 1000 * percentile(outcome.times, 0.99),
            "cpu_ms": 1000 * cpu / outcome.requests,
            "peak_mib": peak.mib,
            "refusals": outcome.refusals,
            "connections": outcome.connections,
            "load_cpu_ms": 1000 * outcome.load_cpu / outcome.requests,
        }

    def _upload(self) -> Values:
        """To a fresh server, whose memory nothing has stretched yet; a small request comes first."""
        with self._running() as running:
            plan = self._plan(running, self._large_body())
            with PeakMemory(running.processes(), interval=0.02) as peak:
                outcome = run_load(replace(plan, warm=0, seconds=math.inf, requests=1, patience=600.0))
        if not outcome.times:
            raise Missing(f"the large upload is answered {outcome.statuses}")
        return {"seconds": outcome.times[0], "peak_mib": peak.mib}

    def _memory(self) -> Values:
        totals = {count: self._memory_with(count) for count in WORKERS}
        further = (totals[WORKERS[-1]] - totals[1]) / (WORKERS[-1] - 1)
        return {**{f"workers_{count}_mib": total for count, total in totals.items()}, "further_mib": further}

    def _memory_with(self, workers: int) -> float:
        """Once every worker has loaded the model, which shows in memory that no longer grows."""
        with self._running(workers) as running:
            run_load(replace(self._plan(running, self._body(1)), clients=16, warm=0, seconds=math.inf, requests=400))
            before, now = 0.0, running.memory()
            while abs(now - before) > 0.5:
                time.sleep(1.0)
                before, now = now, running.memory()
            return now

    def _plan(self, running: Running, body: Path) -> Plan:
        return Plan(running.port, self._server.path, self._content_type, str(body), cores=self._cores.load)

    def _body(self, rows: int) -> Path:
        """A file with so many rows of the data, from its begin and round again, as the server wants them."""
        if self._server.dialect is None:
            return self._write("bytes", b"0123456789abcdef" * (NO_OP_BYTES // 16))
        path = self._folder / f"{rows}.body"
        if path.exists():
            return path
        data = self._environment.document("rows")
        whole = [data[number % len(data)] for number in range(rows)]
        return self._write(str(rows), self._server.dialect.write(self._environment.document("names"), whole))

    def _large_body(self) -> Path:
        assert self._server.dialect is not None
        path = self._folder / "large.body"
        if path.exists():
            return path
        text = self._server.dialect.write(self._environment.document("names"), self._environment.document("rows"))
        names, _, rows = text.partition(b"\n")
        return self._write("large", names + b"\n" + rows * (self._pace.upload_megabytes * 1_000_000 // len(rows)))

    def _write(self, name: str, body: bytes) -> Path:
        path = self._folder / f"{name}.body"
        path.write_bytes(body)
        return path


def check_predictions(dialect: Dialect, answer: bytes, expected: Sequence[float]) -> None:
    """Raises Missing unless each row's prediction is the estimator's own."""
    try:
        predicted = dialect.read(json.loads(answer))
    except (ValueError, LookupError, TypeError) as error:
        raise Missing(f"its answer cannot be read ({error!r}): {answer[:200].decode(errors='replace')}") from error
    if len(predicted) != len(expected):
        raise Missing(f"{len(predicted)} predictions for {len(expected)} rows")
    for number, (one, other) in enumerate(zip(predicted, expected, strict=True)):
        if not abs(one - other) <= TOLERANCE:  # also where either is not a number
            raise Missing(f"it predicts {one!r} for row {number}, the estimator {other!r}")


def run_load(plan: Plan) -> Outcome:
    """The load in a process of its own; raises Missing if the server failed under it."""
    words = [sys.executable, "-m", "benchmarks.compare.load"]
    done = subprocess.run(words, input=json.dumps(asdict(plan)), capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise Missing(f"the load ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    outcome = Outcome(**json.loads(done.stdout))
    if outcome.failure:
        raise Missing(outcome.failure)
    return outcome
