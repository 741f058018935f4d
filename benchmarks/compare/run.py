"""The run: rounds in which every server is visited in turn, so that what disturbs the machine disturbs them all."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.compare.environments import Environment, Missing, open_environment, prepare
from benchmarks.compare.importing import measure_imports
from benchmarks.compare.machine import describe_machine
from benchmarks.compare.measuring import Pace, Values, Visit
from benchmarks.compare.running import Cores
from benchmarks.compare.servers import PANDAS, SERVERS, Server
from benchmarks.compare.stages import measure_stages
from benchmarks.compare.workloads import WORKLOADS, Workload


@dataclass(frozen=True)
class Order:
    """What to measure: names of servers and workloads, rounds, pace, and where the peers' environments are."""

    servers: Sequence[str]
    workloads: Sequence[str]
    rounds: int
    pace: Pace
    cores: Cores
    environments: Path


@dataclass
class Results:
    """All that a run yields; its JSON form is what every report is written from.

    Attributes:
        measurements: a dictionary for each figure set: ``round``, ``server``, ``workload`` and ``values``.
        left_out: why a server, or one of its workloads, has no figures.
        stages: microseconds of the steps of one small prediction, each alone.
    """

    machine: dict[str, Any]
    order: dict[str, Any]
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    measurements: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)

    def add(self, number: int, server: str, workload: str, values: Values) -> None:
        self.measurements.append({"round": number, "server": server, "workload": workload, "values": values})


def run(order: Order) -> Results:
    """All rounds; a server that cannot take part is told about and left out of the rest."""
    results = Results(describe_machine(), _describe(order))
    with tempfile.TemporaryDirectory(prefix="compare") as folder:
        environments = _open_environments(order, Path(folder), results)
        if PANDAS in environments:
            results.stages = measure_stages(environments[PANDAS], order.cores.server)
        for number in range(1, order.rounds + 1):
            print(f"Round {number} of {order.rounds}", flush=True)
            _measure_round(number, order, environments, Path(folder), results)
    return results


def _describe(order: Order) -> dict[str, Any]:
    described = asdict(order)
    del described["environments"]
    return described


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


def _measure_round(
    number: int, order: Order, environments: dict[str, Environment], folder: Path, results: Results
) -> None:
    wanted = [WORKLOADS[name] for name in order.workloads]
    if any(workload.kind == "imports" for workload in wanted):
        for statement, values in measure_imports(order.cores.server):
            results.add(number, statement, "imports", values)
    for name in list(environments):
        workloads = [workload for workload in wanted if workload.suits(SERVERS[name])]
        visit = Visit(SERVERS[name], environments[name], order.cores, order.pace, folder / "bodies")
        try:
            for workload, values in _visit(name, visit, workloads):
                results.add(number, name, workload, values)
        except Missing as missing:
            _leave_out(results, name, missing)
            del environments[name]


def _visit(name: str, visit: Visit, workloads: list[Workload]) -> Iterator[tuple[str, Values]]:
    for workload, values in visit.measure(workloads):
        first = WORKLOADS[workload].metrics[0]
        print(f"  {name:20} {workload:12} {values[first.key]:>10.{max(first.digits, 1)}f} {first.title}", flush=True)
        yield workload, values


def _leave_out(results: Results, name: str, missing: Missing) -> None:
    results.left_out[name] = str(missing)
    print(f"  {name:20} is left out: {missing}", flush=True)


def suiting(servers: Sequence[Server], workloads: Sequence[Workload]) -> list[str]:
    """The names of the servers that any of the workloads is measured on."""
    return [server.name for server in servers if any(workload.suits(server) for workload in workloads)]
