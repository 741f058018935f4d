"""The tables of a run as Markdown."""

from collections.abc import Iterator, Sequence

from benchmarks.compare.tables import Cell, Document, Line, Table, tables_of


def write_tables(document: Document, level: str = "##") -> str:
    """All tables, each below a heading."""
    return "\n".join(line for table in tables_of(document) for line in (*_table(table, level), ""))


def headings(table: Table) -> list[str]:
    """A column for each metric, and one for the ratio of those that are compared."""
    found = ["import" if table.workload.kind == "imports" else "server"]
    for metric in table.workload.metrics:
        found.append(metric.title)
        if metric.compared:
            found.append(f"x {table.baseline}")
    return found


def texts(line: Line) -> list[str]:
    """The line's cells, under the same headings."""
    found = [line.server]
    for cell in line.cells.values():
        found.append(cell.text)
        if cell.metric.compared:
            found.append(ratio_text(cell))
    return found


def ratio_text(cell: Cell) -> str:
    """The median ratio and, in brackets, the least and the most that a round had; ``-`` without a baseline."""
    return "-" if cell.ratio is None else str(cell.ratio)


def write_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table: the first column to the left, all others to the right."""
    yield f"| {' | '.join(head)} |"
    yield f"| --- |{' ---: |' * (len(head) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _table(table: Table, level: str) -> Iterator[str]:
    yield f"{level} {table.workload.title}"
    yield ""
    yield from write_table(headings(table), [texts(line) for line in table.lines])


def write_left_out(document: Document) -> str:
    """A list of the servers that have no figures, or not all, and why; empty if there are none."""
    return "\n".join(f"- `{name}`: {reason}" for name, reason in document["left_out"].items())


def write_versions(document: Document) -> str:
    """The packages of each environment that the comparison is about."""
    telling = "python scikit-learn pandas numpy starlette fastapi uvicorn gunicorn flask uvloop".split()
    rows = []
    for name, versions in document["versions"].items():
        own = [package for package in ("litserve", "bentoml", "mlserver", "ray", "mlflow") if package in versions]
        shown = [f"{package} {versions[package]}" for package in (*own, *telling) if package in versions]
        rows.append([name, ", ".join(shown)])
    return "\n".join(write_table(["environment", "versions"], rows))
