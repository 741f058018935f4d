"""One visit: a server is started, checked, measured with its workloads and ended."""

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.compare.bodies import Dialect
from benchmarks.compare.environments import Environment, Missing
from benchmarks.compare.load import Outcome, Plan
from benchmarks.compare.running import Ask, Cores, Running, post
from benchmarks.compare.servers import BATCH, Server
from benchmarks.compare.workloads import NO_OP_BYTES, Workload

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-9
CHECKED_ROWS = 100
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
        self.server, self.cores, self.pace = server, cores, pace
        self._environment = environment
        self._folder = folder / server.name
        self._folder.mkdir(parents=True, exist_ok=True)
        self._content_type = server.dialect.content_type if server.dialect else "application/octet-stream"

    def running(self, workers: int | None = None, cores: Sequence[int] | None = None) -> Running:
        """The server, to be entered; by default with the pace's workers on the server's cores."""
        workers, cores = workers or self.pace.workers, cores or self.cores.server
        log = self._folder / "log.txt"
        return Running(self.server, self._environment, self._ask(1), cores=cores, log=log, workers=workers)

    def check(self, running: Running) -> None:
        """Raises Missing unless what it predicts is what the estimator does."""
        if self.server.batches:
            self._check_together(running)
            return
        answer = self._answer(running, self._ask(CHECKED_ROWS))
        if self.server.dialect is not None:
            check_predictions(self.server.dialect, answer, self._expected()[:CHECKED_ROWS])
        elif answer != self._ask(CHECKED_ROWS).body:
            raise Missing("it does not give back what it was sent")

    def plan(self, running: Running, body: Path) -> Plan:
        return Plan(running.port, self.server.path, self._content_type, str(body), cores=self.cores.load)

    def plan_of(self, running: Running, workload: Workload, rows: int | None = None) -> Plan:
        """The load of a workload at the visit's pace."""
        plan = self.plan(running, self.body(workload.rows if rows is None else rows))
        warm, seconds = (length * workload.stretch for length in (self.pace.warm, self.pace.seconds))
        return Plan(**{**asdict(plan), "clients": workload.clients, "warm": warm, "seconds": seconds})

    def body(self, rows: int) -> Path:
        """A file with so many rows of the data, from its begin and round again, as the server wants them."""
        if self.server.dialect is None:
            return self._write("bytes", b"0123456789abcdef" * (NO_OP_BYTES // 16))
        path = self._folder / f"{rows}.body"
        if path.exists():
            return path
        data = self._environment.document("rows")
        return self._write(str(rows), self._table(self.server.dialect, [data[n % len(data)] for n in range(rows)]))

    def large_body(self) -> Path:
        assert self.server.dialect is not None
        path = self._folder / "large.body"
        if path.exists():
            return path
        names, _, rows = self._table(self.server.dialect, self._environment.document("rows")).partition(b"\n")
        return self._write("large", names + b"\n" + rows * (self.pace.upload_megabytes * 1_000_000 // len(rows)))

    def _check_together(self, running: Running) -> None:
        """A row a request, all different and at the same time: joined or not, each gets its own prediction."""
        dialect = self.server.dialect
        assert dialect is not None
        data, expected = self._environment.document("rows")[:BATCH], self._expected()
        asks = [Ask(self.server.path, self._content_type, self._table(dialect, [row])) for row in data]
        with ThreadPoolExecutor(len(asks)) as threads:
            answers = threads.map(lambda ask: self._answer(running, ask), asks)
            for answer, one in zip(answers, expected, strict=False):
                check_predictions(dialect, answer, [one])

    def _answer(self, running: Running, ask: Ask) -> bytes:
        status, answer = post(running.port, ask)
        if status != 200:
            raise Missing(f"a table that it is checked with is answered {status}: {_shown(answer)}")
        return answer

    def _ask(self, rows: int) -> Ask:
        return Ask(self.server.path, self._content_type, self.body(rows).read_bytes())

    def _expected(self) -> list[float]:
        expected: list[float] = self._environment.document(f"{self.server.model}/expected")
        return expected

    def _table(self, dialect: Dialect, rows: Sequence[Sequence[float]]) -> bytes:
        return dialect.write(self._environment.document("names"), rows)

    def _write(self, name: str, body: bytes) -> Path:
        path = self._folder / f"{name}.body"
        path.write_bytes(body)
        return path


def check_predictions(dialect: Dialect, answer: bytes, expected: Sequence[float]) -> None:
    """Raises Missing unless each row's prediction is the estimator's own."""
    try:
        predicted = dialect.read(json.loads(answer))
    except (ValueError, LookupError, TypeError) as error:
        raise Missing(f"its answer cannot be read ({error!r}): {_shown(answer)}") from error
    if len(predicted) != len(expected):
        raise Missing(f"{len(predicted)} predictions for {len(expected)} rows")
    for number, (one, other) in enumerate(zip(predicted, expected, strict=True)):
        if not abs(one - other) <= TOLERANCE:  # also where either is not a number
            raise Missing(f"it predicts {one!r} for row {number}, the estimator {other!r}")


def _shown(answer: bytes) -> str:
    return answer[:200].decode(errors="replace")


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
