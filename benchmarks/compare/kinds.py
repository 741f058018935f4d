"""How each kind of workload is measured: on a server that runs already, on fresh ones, or on none of the table's."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from benchmarks.compare.environments import Missing
from benchmarks.compare.figures import percentile
from benchmarks.compare.importing import measure_imports
from benchmarks.compare.load import Outcome
from benchmarks.compare.measuring import Pace, Values, Visit, run_load
from benchmarks.compare.overloading import measure_overload
from benchmarks.compare.running import Cores, PeakMemory, Running
from benchmarks.compare.workloads import CURVE_ROWS, IDLE, WORKERS, Workload

Measured = tuple[str, Values | Missing]
"""The name of a workload and its figures, or why there are none."""


def measure_visit(visit: Visit, workloads: Sequence[Workload]) -> Iterator[Measured]:
    """The figures of each workload.

    Raises:
        Missing: the server does not start, or what it predicts is not what the estimator does.
    """
    with visit.running() as running:
        visit.check(running)
        for workload in workloads:
            if measure := WHILE_RUNNING.get(workload.kind):
                yield workload.name, _or_missing(measure, visit, running, workload)
    for workload in workloads:
        if measure_fresh := FRESH.get(workload.kind):
            yield workload.name, _or_missing(measure_fresh, visit, workload)


def _or_missing(measure: Callable[..., Values], *arguments: object) -> Values | Missing:
    try:
        return measure(*arguments)
    except Missing as missing:
        return missing


def _start(visit: Visit, running: Running, workload: Workload) -> Values:
    return {"seconds": running.start_seconds, "cpu_seconds": running.start_cpu}


def _load(visit: Visit, running: Running, workload: Workload) -> Values:
    outcome, cpu, peak = _run(visit, running, workload)
    return {
        "requests_per_second": len(outcome.times) / outcome.seconds,
        "p50_ms": 1000 * percentile(outcome.times, 0.5),
        "p99_ms": 1000 * percentile(outcome.times, 0.99),
        "cpu_ms": 1000 * cpu / outcome.requests,
        "peak_mib": peak,
        "refusals": outcome.refusals,
        "connections": outcome.connections,
        "load_cpu_ms": 1000 * outcome.load_cpu / outcome.requests,
        "load_percent": outcome.load_percent,
    }


def _curve(visit: Visit, running: Running, workload: Workload) -> Values:
    """Processor time of a row; the worst step is the most that a size costs, divided by the next smaller one's."""
    costs = []
    for rows in CURVE_ROWS:
        outcome, cpu, _ = _run(visit, running, workload, rows)
        costs.append(1e6 * cpu / outcome.requests / rows)
    steps = [larger / smaller for smaller, larger in pairwise(costs)]
    return {**{f"rows_{rows}_us": cost for rows, cost in zip(CURVE_ROWS, costs, strict=True)}, "worst_step": max(steps)}


def _run(
    visit: Visit, running: Running, workload: Workload, rows: int | None = None, idle: int = 0
) -> tuple[Outcome, float, float]:
    """What became of the load, seconds of processor time that the server took, and the most MiB that it had."""
    before = running.cpu_seconds()
    with PeakMemory(running.processes(), interval=0.1) as peak:
        outcome = run_load(replace(visit.plan_of(running, workload, rows), idle=idle))
    if not outcome.times:
        raise Missing(f"no answer to {workload.title} in the measured time: {outcome.statuses}")
    return outcome, running.cpu_seconds() - before, peak.mib


def _upload(visit: Visit, workload: Workload) -> Values:
    """To a fresh server, whose memory nothing has stretched yet; a small request comes first."""
    with visit.running() as running:
        plan = visit.plan(running, visit.large_body())
        with PeakMemory(running.processes(), interval=0.02) as peak:
            outcome = run_load(replace(plan, warm=0, seconds=math.inf, requests=1, patience=600.0))
    if not outcome.times:
        raise Missing(f"the large upload is answered {outcome.statuses}")
    return {"seconds": outcome.times[0], "peak_mib": peak.mib}


def _memory(visit: Visit, workload: Workload) -> Values:
    totals = {}
    for count in WORKERS:
        with visit.running(count) as running:
            totals[count] = _settle(visit, running, 400)
    further = (totals[WORKERS[-1]] - totals[1]) / (WORKERS[-1] - 1)
    return {**{f"workers_{count}_mib": total for count, total in totals.items()}, "further_mib": further}


def _settle(visit: Visit, running: Running, requests: int) -> float:
    """MiB once every worker has loaded the model, which shows in memory that no longer grows."""
    run_load(replace(visit.plan(running, visit.body(1)), clients=16, warm=0, seconds=math.inf, requests=requests))
    before, now = 0.0, running.memory()
    while abs(now - before) > 0.5:
        time.sleep(1.0)
        before, now = now, running.memory()
    return now


def _scaling(visit: Visit, workload: Workload) -> Values:
    """One worker on one core, two workers on two; the load keeps to its own core, which the second worker may share.

    On such a core the workers have what the load leaves: so the corrected ratio is the raw one times 2 / (2 - share).
    """
    cores = [*visit.cores.server, *(core for core in visit.cores.load if core not in visit.cores.server)]
    if len(cores) < 2:
        raise Missing("two workers want two cores")
    rates, shares = [], []
    for workers in (1, 2):
        with visit.running(workers, cores[:workers]) as running:
            _settle(visit, running, 16 * workers)
            outcome, _, _ = _run(visit, running, workload)
        rates.append(len(outcome.times) / outcome.seconds)
        shares.append(outcome.load_percent / 100)
    taken = shares[1] if set(cores[:2]) & set(visit.cores.load) else 0.0
    raw = rates[1] / rates[0]
    return {
        "corrected": raw * 2 / (2 - taken),
        "raw": raw,
        "load_percent": 100 * shares[1],
        "workers_1": rates[0],
        "workers_2": rates[1],
    }


def _idle(visit: Visit, workload: Workload) -> Values:
    """One active client of a fresh server beside a single idle connection, then beside many."""
    found: dict[int, tuple[float, float, float]] = {}
    with visit.running() as running:
        for count in (1, IDLE):
            outcome, _, peak = _run(visit, running, workload, idle=count)
            if outcome.idle < count:
                raise Missing(f"of {count:,} idle connections {outcome.idle:,} were left at the end")
            times = outcome.times
            found[count] = 1000 * percentile(times, 0.5), 1000 * percentile(times, 0.99), peak
    (p50_1, p99_1, mib_1), (p50_many, p99_many, mib_many) = found[1], found[IDLE]
    return {
        "p50_ratio": p50_many / p50_1,
        "p99_ratio": p99_many / p99_1,
        "p50_1_ms": p50_1,
        "p50_many_ms": p50_many,
        "p99_1_ms": p99_1,
        "p99_many_ms": p99_many,
        "kib": 1024 * (mib_many - mib_1) / (IDLE - 1),
    }


WHILE_RUNNING: Mapping[str, Callable[[Visit, Running, Workload], Values]] = {
    "start": _start,
    "load": _load,
    "curve": _curve,
}
FRESH: Mapping[str, Callable[[Visit, Workload], Values]] = {
    "upload": _upload,
    "memory": _memory,
    "scaling": _scaling,
    "idle": _idle,
}
ALONE: Mapping[str, Callable[[Cores, Pace], Iterator[tuple[str, Values]]]] = {
    "imports": lambda cores, pace: measure_imports(cores.server),
    "overload": lambda cores, pace: measure_overload(cores, 3 * pace.seconds),
}
"""By the name of a line of the table, not of a server."""
