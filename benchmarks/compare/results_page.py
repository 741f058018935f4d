"""The results page: the texts of ``texts/`` with the figures of a run filled in.

A text names a figure in double braces: ``{{ratio WORKLOAD SERVER METRIC}}``, ``{{figure WORKLOAD SERVER METRIC}}``,
``{{best WORKLOAD METRIC}}`` for the best server that is not ours, or one of the names of ``_facts``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.compare.markdown import (
    RUN_HEAD,
    ratio_text,
    rows_of_runs,
    write_left_out,
    write_table,
    write_tables,
    write_targets,
    write_versions,
)
from benchmarks.compare.servers import SERVERS
from benchmarks.compare.tables import Cell, Document, Line, Table, losses, tables_of

TEXTS = Path(__file__).parent / "texts"
NOT_MEASURED = "(not measured)"


def write_results_page(document: Document) -> str:
    """Return the page; missing figures are marked. Raises LookupError for an unknown name."""
    tables = {table.workload.name: table for table in tables_of(document)}
    facts = _facts(document, list(tables.values()))

    def fill(found: re.Match[str]) -> str:
        name, *words = found[1].split()
        return _FIGURES[name](tables, words) if words else facts[name]

    return re.sub(r"\{\{([^}]+)\}\}", fill, (TEXTS / "page.md").read_text())


def _facts(document: Document, tables: Sequence[Table]) -> dict[str, str]:
    machine, runs = document["machine"], document["runs"]
    return {
        "date": " and ".join(dict.fromkeys(run["date"].partition(" ")[0] for run in runs)),
        "processor": machine["processor"],
        "cores": str(machine["cores"]),
        "memory": str(machine["memory_gib"]),
        "system": machine["system"],
        "python": machine["python"],
        "runs": "\n".join(write_table(RUN_HEAD, list(rows_of_runs(document)))),
        "most-load": _most_load(document),
        "versions": write_versions(document),
        "targets": write_targets(document),
        "tables": write_tables(document, "###"),
        "stages": _stages(document),
        "losses": _losses(tables),
        "left-out": write_left_out(document) or "None.",
    }


def _most_load(document: Document) -> str:
    """Return where the load itself took most of its core."""
    found = [
        (measurement["values"]["load_percent"], measurement["server"], measurement["workload"])
        for measurement in document["measurements"]
        if "load_percent" in measurement["values"]
    ]
    if not found:
        return NOT_MEASURED
    percent, server, workload = max(found)
    return f"{percent:.0f} % (`{workload}` on `{server}`)"


def _stages(document: Document) -> str:
    rows = [[name, f"{microseconds:,.0f}"] for name, microseconds in document["stages"].items()]
    return "\n".join(write_table(["step", "µs"], rows))


def _losses(tables: Sequence[Table]) -> str:
    reasons = read_reasons()
    lines = []
    for table, metric, ours, other in losses(tables):
        figures = " against ".join(f"{_named(line, metric.key)}" for line in (ours, other))
        reason = reasons.get(table.workload.name, "")
        lines.append(f"- **{table.workload.title}**, {metric.title}: {figures}. {reason}".rstrip())
    return "\n".join(lines) or "Nowhere in this run."


def _named(line: Line, key: str) -> str:
    return f"`{line.server}` {line.cells[key].text}"


def read_reasons() -> dict[str, str]:
    """Return the sections of ``texts/reasons.md``, which explain losses, by workload."""
    sections = re.split(r"^# (\S+)$", (TEXTS / "reasons.md").read_text(), flags=re.MULTILINE)[1:]
    return {name: text.strip() for name, text in zip(sections[::2], sections[1::2], strict=True)}


def _cell(tables: Mapping[str, Table], workload: str, server: str, metric: str) -> Cell | None:
    line = tables[workload].find(server) if workload in tables else None
    return line.cells[metric] if line else None


def _ratio(tables: Mapping[str, Table], words: Sequence[str]) -> str:
    cell = _cell(tables, *words)
    return ratio_text(cell) if cell and cell.ratio else NOT_MEASURED


def _figure(tables: Mapping[str, Table], words: Sequence[str]) -> str:
    cell = _cell(tables, *words)
    return cell.text if cell else NOT_MEASURED


def _best(tables: Mapping[str, Table], words: Sequence[str]) -> str:
    workload, key = words
    lines = tables[workload].lines if workload in tables else []
    cells = [(line.server, line.cells[key]) for line in lines if SERVERS[line.server].is_peer]
    compared = [(cell.ratio.median, server, cell) for server, cell in cells if cell.ratio]
    if not compared:
        return NOT_MEASURED
    choose = max if compared[0][2].metric.more_is_better else min
    _, server, cell = choose(compared, key=lambda found: found[0])
    return f"{ratio_text(cell)} (`{server}`)"


_FIGURES: Mapping[str, Callable[[Mapping[str, Table], Sequence[str]], str]] = {
    "ratio": _ratio,
    "figure": _figure,
    "best": _best,
}
