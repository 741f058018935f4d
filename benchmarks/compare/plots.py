"""Bar charts as SVG: a bar per server, and a line from the minimum to the maximum of the rounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.compare.figures import Summary
from benchmarks.compare.servers import SERVERS
from benchmarks.compare.tables import Table
from benchmarks.compare.workloads import Metric

WIDTH, NAME_WIDTH, TEXT_WIDTH, BAR, GAP = 720, 170, 150, 18, 8


@dataclass(frozen=True)
class Bar:
    """A bar: its name, figure, text and colour class."""

    name: str
    figure: Summary
    text: str
    kind: str


def draw(table: Table, metric: Metric) -> str:
    """Draw the metric of all lines, with the ratio after the figure."""
    bars = []
    for line in table.lines:
        cell = line.cells[metric.key]
        ratio = f"  ({cell.ratio.median:.2f}x)" if cell.ratio else ""
        bars.append(Bar(line.server, cell.figure, f"{cell.text}{ratio}", _kind(line.server)))
    return _svg(bars, f"{table.workload.title}: {metric.title}")


def _kind(name: str) -> str:
    server = SERVERS.get(name)
    if server is None:
        return "bare"
    return "ours" if server.is_drum else "peer" if server.is_peer else "bare"


def _svg(bars: Sequence[Bar], label: str) -> str:
    height = len(bars) * (BAR + GAP) + GAP
    maximum = max(bar.figure.maximum for bar in bars) or 1.0
    scale = (WIDTH - NAME_WIDTH - TEXT_WIDTH) / maximum
    shapes = "".join(_bar(bar, GAP + number * (BAR + GAP), scale) for number, bar in enumerate(bars))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' aria-label="{escape(label)}">{shapes}</svg>'
    )


def _bar(bar: Bar, top: int, scale: float) -> str:
    middle = top + BAR / 2
    length = bar.figure.median * scale
    minimum, maximum = (NAME_WIDTH + value * scale for value in (bar.figure.minimum, bar.figure.maximum))
    return (
        f'<text x="{NAME_WIDTH - 8}" y="{middle}" class="name">{escape(bar.name)}</text>'
        f'<rect x="{NAME_WIDTH}" y="{top}" width="{length:.1f}" height="{BAR}" class="{bar.kind}"/>'
        f'<path d="M{minimum:.1f} {middle}H{maximum:.1f}" class="spread"/>'
        f'<text x="{maximum + 8:.1f}" y="{middle}" class="figure">{escape(bar.text)}</text>'
    )
