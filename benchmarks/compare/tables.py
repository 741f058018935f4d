"""The figures of a run as tables: for each workload a line a server, each cell a figure over all rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.compare.figures import Summary, ratios, summarize
from benchmarks.compare.importing import BASELINE
from benchmarks.compare.kinds import ALONE
from benchmarks.compare.servers import PANDAS, SERVERS
from benchmarks.compare.workloads import WORKLOADS, Metric, Workload

Document = Mapping[str, Any]
"""The JSON form of a run's results."""


@dataclass(frozen=True)
class Cell:
    """A figure of one server over all rounds, and its ratio to the baseline's, round by round."""

    metric: Metric
    figure: Summary
    ratio: Summary | None

    @property
    def text(self) -> str:
        return f"{self.figure.median:,.{self.metric.digits}f}"


@dataclass(frozen=True)
class Line:
    """A server's figures of one workload, by the metric's key."""

    server: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Table:
    """A workload's lines, best first by its first metric, and what the ratios are to."""

    workload: Workload
    baseline: str
    lines: Sequence[Line]

    def find(self, server: str) -> Line | None:
        return next((line for line in self.lines if line.server == server), None)


def tables_of(document: Document) -> list[Table]:
    """A table for each workload that any server has figures of."""
    tables = []
    for workload in WORKLOADS.values():
        rounds = rounds_of(document, workload.name)
        if rounds:
            tables.append(_table(workload, rounds))
    return tables


Rounds = dict[str, dict[int, Mapping[str, float]]]
"""By server and round: the values."""


def rounds_of(document: Document, workload: str) -> Rounds:
    found: Rounds = {}
    for measurement in document["measurements"]:
        if measurement["workload"] == workload:
            found.setdefault(measurement["server"], {})[measurement["round"]] = measurement["values"]
    return found


def baseline_of(workload: Workload, servers: Sequence[str]) -> str:
    """The server, or statement, that the workload's ratios are to."""
    if workload.kind == "imports":
        return BASELINE
    return next((SERVERS[name].baseline for name in servers if name in SERVERS), PANDAS)


def _table(workload: Workload, rounds: Rounds) -> Table:
    baseline = baseline_of(workload, list(rounds))
    lines = [_line(workload, server, values, rounds.get(baseline, {})) for server, values in rounds.items()]
    first = workload.metrics[-1 if workload.kind in ("memory", "curve") else 0]

    def rank(line: Line) -> float:
        worth = line.cells[first.key].figure.median
        return -worth if first.more_is_better else worth

    return Table(workload, baseline, sorted(lines, key=rank))


def _line(
    workload: Workload,
    server: str,
    values: Mapping[int, Mapping[str, float]],
    baseline: Mapping[int, Mapping[str, float]],
) -> Line:
    cells = {}
    for metric in workload.metrics:
        ours = {number: figures[metric.key] for number, figures in values.items()}
        theirs = {number: figures[metric.key] for number, figures in baseline.items()}
        compared = ratios(ours, theirs) if metric.compared else []
        cells[metric.key] = Cell(metric, summarize(list(ours.values())), summarize(compared) if compared else None)
    return Line(server, cells)


def losses(tables: Sequence[Table]) -> list[tuple[Table, Metric, Line, Line]]:
    """Where one of our servers is not the best: the table, the metric, our best line and the best of the others.

    The bare apps are among the others.
    """
    found = []
    for table in tables:
        if table.workload.kind in ALONE:
            continue
        for metric in (metric for metric in table.workload.metrics if metric.compared):
            ours = _best([line for line in table.lines if SERVERS[line.server].is_drum], metric)
            other = _best([line for line in table.lines if not SERVERS[line.server].is_drum], metric)
            if ours and other and ours is not _best([other, ours], metric):
                found.append((table, metric, ours, other))
    return found


def _best(lines: Sequence[Line], metric: Metric) -> Line | None:
    choose = max if metric.more_is_better else min
    return choose(lines, key=lambda line: line.cells[metric.key].figure.median, default=None)
