"""The run: rounds in which every server is visited in turn, so that what disturbs the machine disturbs them all."""

import math
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.compare.documents import Results
from benchmarks.compare.environments import Environment, Missing, open_environment, prepare
from benchmarks.compare.kinds import ALONE, measure_visit
from benchmarks.compare.machine import describe_moment
from benchmarks.compare.measuring import Pace, Values, Visit
from benchmarks.compare.progress import Progress, seconds_of, seconds_of_visit
from benchmarks.compare.running import Cores
from benchmarks.compare.servers import PANDAS, SERVERS, Server
from benchmarks.compare.stages import measure_stages
from benchmarks.compare.workloads import WORKLOADS, Workload

ATTEMPTS = 2
"""Failures after which a server, or one of its workloads, is left out of the rounds to come: once may be bad luck."""


@dataclass(frozen=True)
class Order:
    """What to measure: names of servers and workloads, rounds, pace, and where the peers' environments are.

    ``minutes`` may end it before all rounds, but not before the first is over.
    """

    servers: Sequence[str]
    workloads: Sequence[str]
    rounds: int
    pace: Pace
    cores: Cores
    environments: Path
    minutes: float = math.inf

    def wanted(self, server: str) -> list[Workload]:
        """The workloads that are measured on this server."""
        return [work for work in map(WORKLOADS.__getitem__, self.workloads) if work.suits(SERVERS[server])]

    @property
    def alone(self) -> list[Workload]:
        """The workloads that need none of the servers."""
        return [work for work in map(WORKLOADS.__getitem__, self.workloads) if work.kind in ALONE]

    @property
    def seconds(self) -> float:
        """About how long a round takes."""
        visits = sum(seconds_of_visit(self.wanted(name), self.pace) for name in self.servers)
        return visits + sum(seconds_of(workload, self.pace) for workload in self.alone)


def run(order: Order, results: Results, save: Callable[[], None]) -> None:
    """All rounds; who cannot take part is told about, and after a second time left out of the rest.

    Args:
        results: grows with each figure.
        save: called whenever something has been added, so that whoever ends the run loses next to nothing.
    """
    with tempfile.TemporaryDirectory(prefix="compare") as folder:
        results.begin(_describe(order, results.last_round + 1))
        environments = _open_environments(order, Path(folder), results)
        if PANDAS in environments:
            results.stages = measure_stages(environments[PANDAS], order.cores.server)
        rounds = _Rounds(order, environments, Path(folder) / "bodies", results, save)
        begin = time.monotonic()
        for done in range(order.rounds):
            passed = (time.monotonic() - begin) / 60
            if done and passed + passed / done > order.minutes:
                print(f"No further round: it would not end within {order.minutes:g} minutes.", flush=True)
                return
            rounds.measure_one()


def _describe(order: Order, first: int) -> dict[str, Any]:
    described = asdict(order)
    del described["environments"], described["rounds"], described["minutes"]
    return {**describe_moment(), **described, "first_round": first}


def _open_environments(order: Order, folder: Path, results: Results) -> dict[str, Environment]:
    """By the server's name, for those that can take part."""
    opened: dict[str, Environment | Missing] = {}
    ready = {}
    for name in order.servers:
        server = SERVERS[name]
        try:
            if server.environment not in opened:
                opened[server.environment] = _try_to_open(server.environment, order.environments, folder)
            environment = opened[server.environment]
            if isinstance(environment, Missing):
                raise environment
            prepare(server, environment)
        except Missing as missing:
            _leave_out(results, name, missing)
            continue
        ready[name] = environment
        results.versions[server.environment] = environment.document("versions")
    return ready


def _try_to_open(name: str, below: Path, folder: Path) -> Environment | Missing:
    try:
        return open_environment(name, below, folder)
    except Missing as missing:
        return missing


class _Rounds:
    """The rounds of one run, and who or what is out of the next."""

    def __init__(
        self,
        order: Order,
        environments: dict[str, Environment],
        bodies: Path,
        results: Results,
        save: Callable[[], None],
    ) -> None:
        self._order, self._environments, self._bodies = order, environments, bodies
        self._results, self._save = results, save
        self._progress = Progress(order.rounds * order.seconds)
        self._first, self._number = results.last_round + 1, results.last_round
        self._failures: Counter[str] = Counter()

    def measure_one(self) -> None:
        self._number += 1
        print(f"Round {self._number - self._first + 1} of {self._order.rounds}", flush=True)
        for workload in self._order.alone:
            self._measure_alone(workload)
            self._tell(seconds_of(workload, self._order.pace))
        for name in self._order.servers:
            if name in self._environments and self._has_hope(name):
                self._visit(name)
            self._tell(seconds_of_visit(self._order.wanted(name), self._order.pace))

    def _measure_alone(self, workload: Workload) -> None:
        try:
            for line, values in ALONE[workload.kind](self._order.cores, self._order.pace):
                self._add(line, workload.name, values)
        except Missing as missing:
            self._fail(workload.name, missing)

    def _visit(self, name: str) -> None:
        workloads = [work for work in self._order.wanted(name) if self._has_hope(f"{name}: {work.name}")]
        order = self._order
        visit = Visit(SERVERS[name], self._environments[name], order.cores, order.pace, self._bodies)
        try:
            for workload, values in measure_visit(visit, workloads):
                self._take(name, workload, values)
        except Missing as missing:
            self._fail(name, missing)

    def _take(self, name: str, workload: str, values: Values | Missing) -> None:
        if isinstance(values, Missing):
            self._fail(f"{name}: {workload}", values)
        else:
            self._add(name, workload, values)

    def _has_hope(self, name: str) -> bool:
        return self._failures[name] < ATTEMPTS

    def _fail(self, name: str, missing: Missing) -> None:
        self._failures[name] += 1
        _leave_out(self._results, name, missing)

    def _add(self, name: str, workload: str, values: Values) -> None:
        first = WORKLOADS[workload].metrics[0]
        figure = f"{values[first.key]:>10.{max(first.digits, 1)}f} {first.title}"
        print(f"  {name:28} {workload:12} {figure}", flush=True)
        self._results.add(self._number, name, workload, values)

    def _tell(self, seconds: float) -> None:
        self._save()
        print(f"  {self._progress.note(seconds)}", flush=True)


def _leave_out(results: Results, name: str, missing: Missing) -> None:
    results.left_out[name] = str(missing)
    print(f"  {name:28} is left out: {missing}", flush=True)


def suiting(servers: Sequence[Server], workloads: Sequence[Workload]) -> list[str]:
    """The names of the servers that any of the workloads is measured on."""
    return [server.name for server in servers if any(workload.suits(server) for workload in workloads)]
