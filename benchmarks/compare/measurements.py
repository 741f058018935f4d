"""The measurements of each kind of workload: on a running server, on new servers, or standalone."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from benchmarks.compare.environments import MeasurementError
from benchmarks.compare.figures import percentile
from benchmarks.compare.import_times import measure_imports
from benchmarks.compare.load import LoadResult
from benchmarks.compare.overload import measure_overload
from benchmarks.compare.run import Pace, Run, Values, run_load
from benchmarks.compare.server_process import Cores, PeakMemory, ServerProcess
from benchmarks.compare.workloads import CURVE_ROWS, IDLE, WORKERS, Workload

Measured = tuple[str, Values | MeasurementError]
"""The name of a workload and its figures, or the error."""


def measure_run(run: Run, workloads: Sequence[Workload]) -> Iterator[Measured]:
    """Yield the figures of each workload.

    Raises:
        MeasurementError: the server does not start, or its predictions differ from the estimator's.
    """
    with run.running() as process:
        run.check(process)
        for workload in workloads:
            if measure := ON_RUNNING_SERVER.get(workload.kind):
                yield workload.name, _or_error(measure, run, process, workload)
    for workload in workloads:
        if measure_new := ON_NEW_SERVER.get(workload.kind):
            yield workload.name, _or_error(measure_new, run, workload)


def _or_error(measure: Callable[..., Values], *arguments: object) -> Values | MeasurementError:
    try:
        return measure(*arguments)
    except MeasurementError as error:
        return error


def _start(run: Run, process: ServerProcess, workload: Workload) -> Values:
    return {"seconds": process.start_seconds, "cpu_seconds": process.start_cpu}


def _load(run: Run, process: ServerProcess, workload: Workload) -> Values:
    result, cpu, peak = _run(run, process, workload)
    return {
        "requests_per_second": len(result.times) / result.seconds,
        "p50_ms": 1000 * percentile(result.times, 0.5),
        "p99_ms": 1000 * percentile(result.times, 0.99),
        "cpu_ms": 1000 * cpu / result.requests,
        "peak_mib": peak,
        "rejections": result.rejections,
        "connections": result.connections,
        "load_cpu_ms": 1000 * result.load_cpu / result.requests,
        "load_percent": result.load_percent,
    }


def _curve(run: Run, process: ServerProcess, workload: Workload) -> Values:
    """Return CPU time per row; the worst step is the maximum ratio of a size's cost to the next smaller one's."""
    costs = []
    for rows in CURVE_ROWS:
        result, cpu, _ = _run(run, process, workload, rows)
        costs.append(1e6 * cpu / result.requests / rows)
    steps = [larger / smaller for smaller, larger in pairwise(costs)]
    return {**{f"rows_{rows}_us": cost for rows, cost in zip(CURVE_ROWS, costs, strict=True)}, "worst_step": max(steps)}


def _run(
    run: Run, process: ServerProcess, workload: Workload, rows: int | None = None, idle: int = 0
) -> tuple[LoadResult, float, float]:
    """Return the result of the load, the server's CPU seconds, and its peak MiB."""
    before = process.cpu_seconds()
    with PeakMemory(process.processes(), interval=0.1) as peak:
        result = run_load(replace(run.plan_of(process, workload, rows), idle=idle))
    if not result.times:
        raise MeasurementError(f"no response to {workload.title} in the measured time: {result.statuses}")
    return result, process.cpu_seconds() - before, peak.mib


def _upload(run: Run, workload: Workload) -> Values:
    """Upload to a new server, whose memory has not grown yet; a small request comes first."""
    with run.running() as process:
        plan = run.plan(process, run.large_body())
        with PeakMemory(process.processes(), interval=0.02) as peak:
            result = run_load(replace(plan, warm=0, seconds=math.inf, requests=1, timeout=600.0))
    if not result.times:
        raise MeasurementError(f"the large upload gets {result.statuses}")
    return {"seconds": result.times[0], "peak_mib": peak.mib}


def _memory(run: Run, workload: Workload) -> Values:
    totals = {}
    for count in WORKERS:
        with run.running(count) as process:
            totals[count] = _settle(run, process, 400)
    further = (totals[WORKERS[-1]] - totals[1]) / (WORKERS[-1] - 1)
    return {**{f"workers_{count}_mib": total for count, total in totals.items()}, "further_mib": further}


def _settle(run: Run, process: ServerProcess, requests: int) -> float:
    """Return the MiB once every worker has loaded the model, so that memory no longer grows."""
    run_load(replace(run.plan(process, run.body(1)), clients=16, warm=0, seconds=math.inf, requests=requests))
    before, now = 0.0, process.memory()
    while abs(now - before) > 0.5:
        time.sleep(1.0)
        before, now = now, process.memory()
    return now


def _scaling(run: Run, workload: Workload) -> Values:
    """Measure one worker on one core and two workers on two; the load may share the second core.

    There the workers have what the load leaves: the corrected ratio is the raw one times 2 / (2 - share).
    """
    cores = [*run.cores.server, *(core for core in run.cores.load if core not in run.cores.server)]
    if len(cores) < 2:
        raise MeasurementError("two workers need two cores")
    rates, shares = [], []
    for workers in (1, 2):
        with run.running(workers, cores[:workers]) as process:
            _settle(run, process, 16 * workers)
            result, _, _ = _run(run, process, workload)
        rates.append(len(result.times) / result.seconds)
        shares.append(result.load_percent / 100)
    taken = shares[1] if set(cores[:2]) & set(run.cores.load) else 0.0
    raw = rates[1] / rates[0]
    return {
        "corrected": raw * 2 / (2 - taken),
        "raw": raw,
        "load_percent": 100 * shares[1],
        "workers_1": rates[0],
        "workers_2": rates[1],
    }


def _idle(run: Run, workload: Workload) -> Values:
    """Measure one active client of a new server beside one idle connection, then beside many."""
    found: dict[int, tuple[float, float, float]] = {}
    with run.running() as process:
        for count in (1, IDLE):
            result, _, peak = _run(run, process, workload, idle=count)
            if result.idle < count:
                raise MeasurementError(f"of {count:,} idle connections {result.idle:,} were open at the end")
            times = result.times
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


ON_RUNNING_SERVER: Mapping[str, Callable[[Run, ServerProcess, Workload], Values]] = {
    "start": _start,
    "load": _load,
    "curve": _curve,
}
ON_NEW_SERVER: Mapping[str, Callable[[Run, Workload], Values]] = {
    "upload": _upload,
    "memory": _memory,
    "scaling": _scaling,
    "idle": _idle,
}
STANDALONE: Mapping[str, Callable[[Cores, Pace], Iterator[tuple[str, Values]]]] = {
    "imports": lambda cores, pace: measure_imports(cores.server),
    "overload": lambda cores, pace: measure_overload(cores, 3 * pace.seconds),
}
"""Yield figures by the name of a row of the table, not of a server."""
