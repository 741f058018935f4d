"""The figures of a run as tables: one per workload, a line per server, each cell a figure over all rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.compare.figures import Summary, ratios, summarize
from benchmarks.compare.import_times import BASELINE
from benchmarks.compare.measurements import STANDALONE
from benchmarks.compare.servers import PANDAS, SERVERS
from benchmarks.compare.workloads import WORKLOADS, Metric, Workload

Document = Mapping[str, Any]
"""The JSON form of a run's results."""


@dataclass(frozen=True)
class Cell:
    """A figure of one server over all rounds, and its ratio to the baseline's."""

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
    """A workload's lines, best first by its first metric, and the baseline of the ratios."""

    workload: Workload
    baseline: str
    lines: Sequence[Line]

    def find(self, server: str) -> Line | None:
        return next((line for line in self.lines if line.server == server), None)


def tables_of(document: Document) -> list[Table]:
    """Return a table for each workload with figures."""
    tables = []
    for workload in WORKLOADS.values():
        rounds = rounds_of(document, workload.name)
        if rounds:
            tables.append(_table(workload, rounds))
    return tables


Rounds = dict[str, dict[int, Mapping[str, float]]]
"""The values by server and round."""


def rounds_of(document: Document, workload: str) -> Rounds:
    found: Rounds = {}
    for measurement in document["measurements"]:
        if measurement["workload"] == workload:
            found.setdefault(measurement["server"], {})[measurement["round"]] = measurement["values"]
    return found


def baseline_of(workload: Workload, servers: Sequence[str]) -> str:
    """Return the server, or statement, that the workload's figures are divided by."""
    if workload.kind == "imports":
        return BASELINE
    return next((SERVERS[name].baseline for name in servers if name in SERVERS), PANDAS)


def _table(workload: Workload, rounds: Rounds) -> Table:
    baseline = baseline_of(workload, list(rounds))
    lines = [_line(workload, server, values, rounds.get(baseline, {})) for server, values in rounds.items()]
    first = workload.metrics[-1 if workload.kind in ("memory", "curve") else 0]

    def rank(line: Line) -> float:
        median = line.cells[first.key].figure.median
        return -median if first.more_is_better else median

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
    """Return where none of our servers is the best: table, metric, our best line and the best of the others, bare
    apps included.
    """
    found = []
    for table in tables:
        if table.workload.kind in STANDALONE:
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
