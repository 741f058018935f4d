"""The workloads and their metrics."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.compare.servers import FOREST, PIPELINE, Server


@dataclass(frozen=True)
class Metric:
    """A figure: its key in the results, its heading, its digits.

    Attributes:
        compared: whether it is divided by the baseline's.
        drawn: whether it has a plot although it is not compared.
    """

    key: str
    title: str
    digits: int
    compared: bool = False
    more_is_better: bool = False
    drawn: bool = False


RATE = Metric("requests_per_second", "requests/s", 0, compared=True, more_is_better=True)
P50 = Metric("p50_ms", "p50 ms", 2, compared=True)
FURTHER_LOAD_METRICS = (
    Metric("cpu_ms", "CPU ms/request", 3),
    Metric("peak_mib", "peak RSS MiB", 0),
    Metric("load_percent", "load's core %", 0),
)
LOAD_METRICS = (RATE, P50, Metric("p99_ms", "p99 ms", 2), *FURTHER_LOAD_METRICS)
FOREST_METRICS = (RATE, P50, Metric("p99_ms", "p99 ms", 2, compared=True), *FURTHER_LOAD_METRICS)
UPLOAD_METRICS = (Metric("seconds", "seconds", 2, compared=True), Metric("peak_mib", "peak RSS MiB", 0, compared=True))
START_METRICS = (Metric("seconds", "seconds", 2, compared=True), Metric("cpu_seconds", "CPU seconds", 2, compared=True))
WORKERS = (1, 2, 4)
MEMORY_METRICS = (
    *(Metric(f"workers_{count}_mib", f"{count} worker{'s' * (count > 1)}, MiB", 0) for count in WORKERS),
    Metric("further_mib", "each further worker, MiB", 0, compared=True),
)
SCALING_METRICS = (
    Metric("corrected", "2 workers / 1, corrected", 2, more_is_better=True, drawn=True),
    Metric("raw", "2 workers / 1", 2, more_is_better=True, drawn=True),
    Metric("load_percent", "load's core %", 1),
    Metric("workers_1", "1 worker, requests/s", 1),
    Metric("workers_2", "2 workers, requests/s", 1),
)
IDLE = 10_000
IDLE_METRICS = (
    Metric("p50_ratio", f"p50, {IDLE:,} / 1 idle", 2, drawn=True),
    Metric("p99_ratio", f"p99, {IDLE:,} / 1 idle", 2, drawn=True),
    Metric("p50_1_ms", "p50 ms, 1 idle", 2),
    Metric("p50_many_ms", f"p50 ms, {IDLE:,} idle", 2, compared=True),
    Metric("p99_1_ms", "p99 ms, 1 idle", 2),
    Metric("p99_many_ms", f"p99 ms, {IDLE:,} idle", 2, compared=True),
    Metric("kib", "KiB/idle connection", 1, compared=True),
)
CURVE_ROWS = (1, 10, 100, 1_000, 10_000)
CURVE_METRICS = (
    *(Metric(f"rows_{rows}_us", f"CPU µs/row, {rows:,} a request", 1, compared=True) for rows in CURVE_ROWS),
    Metric("worst_step", "worst step", 2),
)
OVERLOAD_METRICS = (
    Metric("goodput_percent", "goodput, % of peak", 1, more_is_better=True, drawn=True),
    Metric("offered", "offered load, x capacity", 1),
    Metric("livez_p99_ms", "/livez p99 ms", 1, drawn=True),
    Metric("readyz_p99_ms", "/readyz p99 ms", 1, drawn=True),
    Metric("other_responses", "responses besides 200 and the documented 503", 0),
    Metric("growth_mib", "RSS growth MiB", 1),
)
IMPORT_METRICS = (Metric("seconds", "seconds", 3, compared=True), Metric("cpu_seconds", "CPU seconds", 3))


@dataclass(frozen=True)
class Workload:
    """A workload to measure.

    Attributes:
        kind: a key of ``measurements.py``.
        applies_to: returns whether it is measured on a server; never for a standalone kind.
        quick: whether it is part of a quick run.
        rows, clients: of a load; no rows for the bytes that a server without a model echoes.
        duration_factor: multiplier of the usual duration of a load.
    """

    name: str
    title: str
    kind: str
    metrics: Sequence[Metric]
    applies_to: Callable[[Server], bool]
    quick: bool = True
    rows: int = 0
    clients: int = 1
    duration_factor: float = 1.0


def _no_server(server: Server) -> bool:
    return False


def _predicts(server: Server) -> bool:
    return server.model == PIPELINE and not server.shares_model


def _predicts_here(server: Server) -> bool:
    return _predicts(server) and not server.is_peer


def _has_forest(server: Server) -> bool:
    return server.model == FOREST


def _load(
    name: str, title: str, rows: int, clients: int, *, quick: bool = True, duration_factor: float = 1.0
) -> Workload:
    return Workload(name, title, "load", LOAD_METRICS, _predicts, quick, rows, clients, duration_factor)


NO_OP_BYTES = 512

WORKLOADS = {
    workload.name: workload
    for workload in (
        _load("one-row-1", "One row, 1 client", 1, 1),
        _load("one-row-16", "One row, 16 clients", 1, 16),
        _load("one-row-64", "One row, 64 clients", 1, 64, quick=False),
        _load("rows-100", "100 rows, 8 clients", 100, 8),
        _load("rows-10000", "10,000 rows, 2 clients", 10_000, 2, duration_factor=1.5),
        Workload(
            "rows-curve",
            "Processor time a row by rows a request",
            "curve",
            CURVE_METRICS,
            _predicts_here,
            quick=False,
            clients=2,
        ),
        Workload(
            "no-op",
            f"No-op: {NO_OP_BYTES} bytes echoed, 16 clients",
            "load",
            LOAD_METRICS,
            lambda server: server.model is None,
            clients=16,
        ),
        Workload(
            "forest-64",
            "A forest of 200 trees, one row, 64 clients",
            "load",
            FOREST_METRICS,
            _has_forest,
            quick=False,
            rows=1,
            clients=64,
            duration_factor=2.0,  # without batches a response takes seconds
        ),
        Workload(
            "workers-2",
            "From 1 to 2 workers: the forest, one row, 16 clients",
            "scaling",
            SCALING_METRICS,
            lambda server: server.model == FOREST and server.scales,
            quick=False,
            rows=1,
            clients=16,
            duration_factor=2.0,
        ),
        Workload(
            "overload", "Overload at four times the capacity", "overload", OVERLOAD_METRICS, _no_server, quick=False
        ),
        Workload(
            "idle",
            f"One row, 1 client beside 1 and {IDLE:,} idle connections",
            "idle",
            IDLE_METRICS,
            lambda server: server.many_connections,
            quick=False,
            rows=1,
        ),
        Workload("upload", "Large upload", "upload", UPLOAD_METRICS, lambda server: server.uploads, quick=False),
        Workload("start", "Start to first prediction", "start", START_METRICS, _predicts),
        Workload(
            "memory",
            "Memory with several workers",
            "memory",
            MEMORY_METRICS,
            lambda server: server.model == PIPELINE and server.scales,
            quick=False,
        ),
        Workload("imports", "Import time", "imports", IMPORT_METRICS, _no_server),
    )
}
