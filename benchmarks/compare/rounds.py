"""The rounds of a run: in each, every server is measured in turn, so that disturbances affect all of them."""

import math
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.compare.environments import Environment, MeasurementError, open_environment, prepare
from benchmarks.compare.machine import describe_moment
from benchmarks.compare.measurements import STANDALONE, measure_run
from benchmarks.compare.progress import Progress, seconds_of, seconds_of_run
from benchmarks.compare.results import Results
from benchmarks.compare.run import Pace, Run, Values
from benchmarks.compare.server_process import Cores
from benchmarks.compare.servers import PANDAS, SERVERS, Server
from benchmarks.compare.stages import measure_stages
from benchmarks.compare.workloads import WORKLOADS, Workload

MAX_FAILURES = 2
"""Failures after which a server, or one of its workloads, is skipped in further rounds."""


@dataclass(frozen=True)
class RunPlan:
    """The plan of a run: servers and workloads by name, rounds, pace, and the folder of the peers' environments.

    ``minutes`` may end the run early, but not before the first round.
    """

    servers: Sequence[str]
    workloads: Sequence[str]
    rounds: int
    pace: Pace
    cores: Cores
    environments: Path
    minutes: float = math.inf

    def workloads_of(self, server: str) -> list[Workload]:
        """Return the workloads that are measured on this server."""
        return [work for work in map(WORKLOADS.__getitem__, self.workloads) if work.applies_to(SERVERS[server])]

    @property
    def standalone(self) -> list[Workload]:
        """The workloads that need none of the servers."""
        return [work for work in map(WORKLOADS.__getitem__, self.workloads) if work.kind in STANDALONE]

    @property
    def seconds(self) -> float:
        """The estimated duration of a round."""
        runs = sum(seconds_of_run(self.workloads_of(name), self.pace) for name in self.servers)
        return runs + sum(seconds_of(workload, self.pace) for workload in self.standalone)


def run_rounds(plan: RunPlan, results: Results, save: Callable[[], None]) -> None:
    """Run all rounds; report servers that fail, and skip them after a second failure.

    Args:
        results: gets each figure.
        save: called after every addition, so that an interrupted run loses little.
    """
    with tempfile.TemporaryDirectory(prefix="compare") as folder:
        results.add_run(_describe(plan, results.last_round + 1))
        environments = _open_environments(plan, Path(folder), results)
        if PANDAS in environments:
            results.stages = measure_stages(environments[PANDAS], plan.cores.server)
        rounds = _Rounds(plan, environments, Path(folder) / "bodies", results, save)
        start = time.monotonic()
        for done in range(plan.rounds):
            passed = (time.monotonic() - start) / 60
            if done and passed + passed / done > plan.minutes:
                print(f"No further round: it would not end within {plan.minutes:g} minutes.", flush=True)
                return
            rounds.measure_one()


def _describe(plan: RunPlan, first: int) -> dict[str, Any]:
    described = asdict(plan)
    del described["environments"], described["rounds"], described["minutes"]
    return {**describe_moment(), **described, "first_round": first}


def _open_environments(plan: RunPlan, folder: Path, results: Results) -> dict[str, Environment]:
    """Return the environments by server name, for the servers that can be measured."""
    opened: dict[str, Environment | MeasurementError] = {}
    ready = {}
    for name in plan.servers:
        server = SERVERS[name]
        try:
            if server.environment not in opened:
                opened[server.environment] = _open_or_error(server.environment, plan.environments, folder)
            environment = opened[server.environment]
            if isinstance(environment, MeasurementError):
                raise environment
            prepare(server, environment)
        except MeasurementError as error:
            _leave_out(results, name, error)
            continue
        ready[name] = environment
        results.versions[server.environment] = environment.document("versions")
    return ready


def _open_or_error(name: str, below: Path, folder: Path) -> Environment | MeasurementError:
    try:
        return open_environment(name, below, folder)
    except MeasurementError as error:
        return error


class _Rounds:
    """The rounds of a run, and the failures so far."""

    def __init__(
        self,
        plan: RunPlan,
        environments: dict[str, Environment],
        bodies: Path,
        results: Results,
        save: Callable[[], None],
    ) -> None:
        self._plan, self._environments, self._bodies = plan, environments, bodies
        self._results, self._save = results, save
        self._progress = Progress(plan.rounds * plan.seconds)
        self._first, self._number = results.last_round + 1, results.last_round
        self._failures: Counter[str] = Counter()

    def measure_one(self) -> None:
        self._number += 1
        print(f"Round {self._number - self._first + 1} of {self._plan.rounds}", flush=True)
        for workload in self._plan.standalone:
            self._measure_standalone(workload)
            self._report_progress(seconds_of(workload, self._plan.pace))
        for name in self._plan.servers:
            if name in self._environments and self._is_active(name):
                self._measure_server(name)
            self._report_progress(seconds_of_run(self._plan.workloads_of(name), self._plan.pace))

    def _measure_standalone(self, workload: Workload) -> None:
        try:
            for line, values in STANDALONE[workload.kind](self._plan.cores, self._plan.pace):
                self._add(line, workload.name, values)
        except MeasurementError as error:
            self._fail(workload.name, error)

    def _measure_server(self, name: str) -> None:
        workloads = [work for work in self._plan.workloads_of(name) if self._is_active(f"{name}: {work.name}")]
        plan = self._plan
        run = Run(SERVERS[name], self._environments[name], plan.cores, plan.pace, self._bodies)
        try:
            for workload, values in measure_run(run, workloads):
                self._record(name, workload, values)
        except MeasurementError as error:
            self._fail(name, error)

    def _record(self, name: str, workload: str, values: Values | MeasurementError) -> None:
        if isinstance(values, MeasurementError):
            self._fail(f"{name}: {workload}", values)
        else:
            self._add(name, workload, values)

    def _is_active(self, name: str) -> bool:
        return self._failures[name] < MAX_FAILURES

    def _fail(self, name: str, error: MeasurementError) -> None:
        self._failures[name] += 1
        _leave_out(self._results, name, error)

    def _add(self, name: str, workload: str, values: Values) -> None:
        first = WORKLOADS[workload].metrics[0]
        figure = f"{values[first.key]:>10.{max(first.digits, 1)}f} {first.title}"
        print(f"  {name:28} {workload:12} {figure}", flush=True)
        self._results.add(self._number, name, workload, values)

    def _report_progress(self, seconds: float) -> None:
        self._save()
        print(f"  {self._progress.record(seconds)}", flush=True)


def _leave_out(results: Results, name: str, error: MeasurementError) -> None:
    results.left_out[name] = str(error)
    print(f"  {name:28} is left out: {error}", flush=True)


def matching_servers(servers: Sequence[Server], workloads: Sequence[Workload]) -> list[str]:
    """Return the names of the servers that any of the workloads applies to."""
    return [server.name for server in servers if any(workload.applies_to(server) for workload in workloads)]
