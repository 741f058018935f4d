"""A run as one self-contained HTML page: plots, tables, versions."""

from collections.abc import Sequence
from html import escape

from benchmarks.compare.markdown import RUN_HEAD, TARGET_HEAD, headings, rows_of_runs, rows_of_targets, texts
from benchmarks.compare.plots import draw
from benchmarks.compare.tables import Document, Table, tables_of
from benchmarks.compare.targets import evaluate

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222;
       background: #fff; }
h2 { margin-top: 2.5rem; }
h3 { font-size: 1rem; margin-bottom: 0; }
svg { width: 100%; max-width: 720px; display: block; }
svg text { font: 12px system-ui, sans-serif; dominant-baseline: central; fill: currentColor; }
svg .name { text-anchor: end; }
.ours { fill: #1b7f5c; } .peer { fill: #9aa5b1; } .bare { fill: #c9a227; }
.spread { stroke: currentColor; stroke-width: 1.5; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #8884; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.scroll { overflow-x: auto; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #191b1f; } }
"""


def write_page(document: Document) -> str:
    machine = document["machine"]
    facts = (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB;"
        f" {machine['system']}; Python {machine['python']}."
    )
    left_out = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in document["left_out"].items())
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Servers compared</title><style>{STYLE}</style><h1>Servers compared</h1><p>{escape(facts)}</p>",
        "<p>Bars are medians of all rounds, lines reach from minimum to maximum; ratios are taken within a round.</p>",
        *_targets(document),
        *map(_section, tables_of(document)),
        f"<h2>Runs</h2>{_table(RUN_HEAD, list(rows_of_runs(document)))}",
        f"<h2>Left out</h2><ul>{left_out}</ul>" if left_out else "",
        "</html>",
    ]
    return "\n".join(parts)


def _targets(document: Document) -> list[str]:
    target_results = evaluate(document)
    return ["<h2>Targets</h2>", _table(TARGET_HEAD, rows_of_targets(target_results))] if target_results else []


def _section(table: Table) -> str:
    plots = "".join(
        f"<h3>{escape(metric.title)}</h3>{draw(table, metric)}"
        for metric in table.workload.metrics
        if metric.compared or metric.drawn
    )
    return f"<h2>{escape(table.workload.title)}</h2>{plots}{_table(headings(table), list(map(texts, table.lines)))}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    first = "".join(f"<th>{escape(text)}</th>" for text in head)
    others = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows)
    return f"<div class=scroll><table><tr>{first}</tr>{others}</table></div>"
