"""The tables of a run as Markdown."""

from collections.abc import Iterator, Sequence

from benchmarks.compare.tables import Cell, Document, Line, Table, tables_of
from benchmarks.compare.targets import TargetResult, evaluate
from benchmarks.compare.workloads import WORKLOADS


def write_tables(document: Document, level: str = "##") -> str:
    """Return all tables, each below a heading."""
    return "\n".join(line for table in tables_of(document) for line in (*_table(table, level), ""))


def headings(table: Table) -> list[str]:
    """Return a column per metric, and one per ratio."""
    found = ["import" if table.workload.kind == "imports" else "server"]
    for metric in table.workload.metrics:
        found.append(metric.title)
        if metric.compared:
            found.append(f"x {table.baseline}")
    return found


def texts(line: Line) -> list[str]:
    """Return the cells of a line, in the order of the headings."""
    found = [line.server]
    for cell in line.cells.values():
        found.append(cell.text)
        if cell.metric.compared:
            found.append(ratio_text(cell))
    return found


def ratio_text(cell: Cell) -> str:
    """Return the median ratio with minimum and maximum in brackets; ``-`` without a baseline."""
    return "-" if cell.ratio is None else str(cell.ratio)


def write_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table: the first column left-aligned, all others right-aligned."""
    yield f"| {' | '.join(head)} |"
    yield f"| --- |{' ---: |' * (len(head) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _table(table: Table, level: str) -> Iterator[str]:
    yield f"{level} {table.workload.title}"
    yield ""
    yield from write_table(headings(table), [texts(line) for line in table.lines])


TARGET_HEAD = ("what", "of", "target", "measured", "met")


def write_targets(document: Document) -> str:
    """Return a table of all targets."""
    return "\n".join(write_table(TARGET_HEAD, rows_of_targets(evaluate(document))))


def rows_of_targets(target_results: Sequence[TargetResult]) -> list[list[str]]:
    return [
        [
            f"{result.target.metric.title}: {WORKLOADS[result.target.workload].title}",
            result.target.server,
            result.target.text,
            result.text,
            "not measured" if result.is_met is None else "yes" if result.is_met else "**no**",
        ]
        for result in target_results
    ]


RUN_HEAD = ("run", "rounds", "seconds a load (warm-up)", "cores: server; load", "load average before", "workloads")


def rows_of_runs(document: Document) -> Iterator[list[str]]:
    """Yield the date and settings of each run."""
    rounds = sorted({measurement["round"] for measurement in document["measurements"]})
    ends = [run["first_round"] for run in document["runs"][1:]] + [max(rounds, default=0) + 1]
    for run, end in zip(document["runs"], ends, strict=True):
        own = [number for number in rounds if run["first_round"] <= number < end]
        yield [
            run["date"],
            str(len(own)),
            f"{run['pace']['seconds']:g} ({run['pace']['warm']:g})",
            "; ".join(", ".join(map(str, run["cores"][owner])) or "any" for owner in ("server", "load")),
            f"{run['load_before']:.2f}",
            ", ".join(run["workloads"]),
        ]


def write_left_out(document: Document) -> str:
    """Return a list of the servers without figures, with reasons; empty if there are none."""
    return "\n".join(f"- `{name}`: {reason}" for name, reason in document["left_out"].items())


def write_versions(document: Document) -> str:
    """Return the versions of the relevant packages of each environment."""
    shared = "python scikit-learn pandas numpy starlette fastapi uvicorn gunicorn flask uvloop".split()
    rows = []
    for name, versions in document["versions"].items():
        own = [package for package in ("litserve", "bentoml", "mlserver", "ray", "mlflow") if package in versions]
        shown = [f"{package} {versions[package]}" for package in (*own, *shared) if package in versions]
        rows.append([name, ", ".join(shown)])
    return "\n".join(write_table(["environment", "versions"], rows))
