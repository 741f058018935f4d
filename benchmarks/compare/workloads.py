"""What is measured: the workloads and the figures that each yields."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.compare.servers import Server


@dataclass(frozen=True)
class Metric:
    """A figure: its key in the results, its heading, its digits, and whether it is held against the baseline's."""

    key: str
    title: str
    digits: int
    compared: bool = False
    more_is_better: bool = False


RATE = Metric("requests_per_second", "requests/s", 0, compared=True, more_is_better=True)
LOAD_METRICS = (
    RATE,
    Metric("p50_ms", "p50 ms", 2, compared=True),
    Metric("p99_ms", "p99 ms", 2),
    Metric("cpu_ms", "CPU ms/request", 3),
    Metric("peak_mib", "peak RSS MiB", 0),
)
UPLOAD_METRICS = (Metric("seconds", "seconds", 2, compared=True), Metric("peak_mib", "peak RSS MiB", 0, compared=True))
START_METRICS = (Metric("seconds", "seconds", 2, compared=True), Metric("cpu_seconds", "CPU seconds", 2, compared=True))
WORKERS = (1, 2, 4)
MEMORY_METRICS = (
    *(Metric(f"workers_{count}_mib", f"{count} worker{'s' * (count > 1)}, MiB", 0) for count in WORKERS),
    Metric("further_mib", "each further worker, MiB", 0, compared=True),
)
IMPORT_METRICS = (Metric("seconds", "seconds", 3, compared=True), Metric("cpu_seconds", "CPU seconds", 3))


@dataclass(frozen=True)
class Workload:
    """Something that is measured.

    Attributes:
        kind: how: ``load``, ``upload``, ``start``, ``memory`` or ``imports``.
        suits: which servers it is measured on.
        quick: whether it is among the few of a quick run.
        rows, clients: of a load; no rows for the bytes that a server without a model gives back.
    """

    name: str
    title: str
    kind: str
    metrics: Sequence[Metric]
    suits: Callable[[Server], bool]
    quick: bool = True
    rows: int = 0
    clients: int = 1


def _predicts(server: Server) -> bool:
    return server.dialect is not None and not server.shares_model


def _load(name: str, title: str, rows: int, clients: int, *, quick: bool = True) -> Workload:
    return Workload(name, title, "load", LOAD_METRICS, _predicts, quick, rows, clients)


NO_OP_BYTES = 512

WORKLOADS = {
    workload.name: workload
    for workload in (
        _load("one-row-1", "One row, 1 client", 1, 1),
        _load("one-row-16", "One row, 16 clients", 1, 16),
        _load("one-row-64", "One row, 64 clients", 1, 64, quick=False),
        _load("rows-100", "100 rows, 8 clients", 100, 8),
        _load("rows-10000", "10,000 rows, 2 clients", 10_000, 2),
        Workload(
            "no-op",
            f"No-op: {NO_OP_BYTES} bytes given back, 16 clients",
            "load",
            LOAD_METRICS,
            lambda server: server.dialect is None,
            clients=16,
        ),
        Workload("upload", "Large upload", "upload", UPLOAD_METRICS, lambda server: server.uploads, quick=False),
        Workload("start", "Start to first prediction", "start", START_METRICS, _predicts),
        Workload(
            "memory", "Memory with several workers", "memory", MEMORY_METRICS, lambda server: server.grows, quick=False
        ),
        Workload("imports", "Import time", "imports", IMPORT_METRICS, lambda server: False),
    )
}
