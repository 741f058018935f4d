"""A run as one HTML page that needs nothing else: plots, tables, versions."""

from html import escape

from benchmarks.compare.markdown import headings, texts
from benchmarks.compare.plots import draw
from benchmarks.compare.tables import Document, Table, tables_of

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
    machine, order = document["machine"], document["order"]
    facts = (
        f"{machine['date']}; {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB;"
        f" {machine['system']}; Python {machine['python']}; rounds: {order['rounds']}."
    )
    left_out = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in document["left_out"].items())
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Servers compared</title><style>{STYLE}</style><h1>Servers compared</h1><p>{escape(facts)}</p>",
        "<p>Bars are medians of all rounds, lines reach from the least to the most that a round had; ratios are taken"
        " within a round.</p>",
        *map(_section, tables_of(document)),
        f"<h2>Left out</h2><ul>{left_out}</ul>" if left_out else "",
        "</html>",
    ]
    return "\n".join(parts)


def _section(table: Table) -> str:
    plots = "".join(
        f"<h3>{escape(metric.title)}</h3>{draw(table, metric)}" for metric in table.workload.metrics if metric.compared
    )
    head = "".join(f"<th>{escape(text)}</th>" for text in headings(table))
    rows = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in texts(line))}</tr>" for line in table.lines)
    return f"<h2>{escape(table.workload.title)}</h2>{plots}<div class=scroll><table><tr>{head}</tr>{rows}</table></div>"
