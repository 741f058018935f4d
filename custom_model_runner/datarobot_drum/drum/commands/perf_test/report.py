"""The report: one self-contained HTML page without scripts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from datarobot_drum.drum.commands.perf_test.charts import COLOURS, Chart, Line, Point
from datarobot_drum.drum.commands.perf_test.comparison import (
    FASTER,
    HEADER,
    SLOWER,
    Change,
    compare,
    different_facts,
)
from datarobot_drum.drum.commands.perf_test.knee import EXPLANATION, knee_lines, knees_by_rows
from datarobot_drum.drum.commands.perf_test.load import Measurement
from datarobot_drum.drum.commands.perf_test.saved_run import SavedRun
from datarobot_drum.drum.commands.perf_test.table import COLUMNS, MIB, cells_of
from datarobot_drum.drum.commands.report_facts import Fact
from datarobot_drum.runtime_parameters import mask_secrets

_TEMPLATE = Path(__file__).with_name("report.html")
_CLASSES = {FASTER: "better", SLOWER: "worse"}

_Value = Callable[[Measurement], float]


@dataclass(frozen=True)
class Report:
    """The content of the page; ``saved`` is the run to compare with."""

    model: str
    facts: tuple[Fact, ...]
    measurements: tuple[Measurement, ...]
    saved: SavedRun | None = None


def render(report: Report) -> str:
    """Return the page; credentials are masked."""
    template = Template(_TEMPLATE.read_text(encoding="utf-8"))
    return template.substitute(
        model=_text(report.model),
        facts="\n".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in report.facts),
        comparison=_comparison(report),
        knees="\n".join(f"<p>{_text(line)}</p>" for line in _knees(report.measurements)),
        explanation=_text(EXPLANATION),
        charts="\n".join(_figure(chart) for chart in make_charts(report.measurements)),
        table=_table(report.measurements),
    )


def _knees(measurements: Sequence[Measurement]) -> list[str]:
    if not knees_by_rows(measurements):
        return ["There is no knee: it takes two measurements without failed requests.", *knee_lines(measurements)]
    return list(knee_lines(measurements))


def _comparison(report: Report) -> str:
    if report.saved is None:
        return ""
    changes = compare(report.saved, report.measurements)
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in HEADER)
    rows = "".join(map(_change_row, changes))
    table = f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    differences = "".join(f"<p>Differs: {_text(line)}</p>" for line in different_facts(report.saved, report.facts))
    date = report.saved.facts.get("date", "an unknown date")
    title = f"<h2>Compared with {_text(report.saved.name)} of {_text(date)}</h2>"
    return title + (table if changes else "<p>No load level is in both runs.</p>") + differences


def _change_row(change: Change) -> str:
    style = _CLASSES.get(change.verdict, "")
    return "<tr>" + "".join(f'<td class="{style}">{_text(cell)}</td>' for cell in change.cells) + "</tr>"


def _text(text: str) -> str:
    return escape(mask_secrets(text))


def make_charts(measurements: Sequence[Measurement]) -> list[Chart]:
    """Return the charts of rows, latency and memory over clients, and of latency over throughput."""
    clients = tuple(sorted({float(measurement.level.clients) for measurement in measurements}))
    successful = [measurement for measurement in measurements if measurement.latencies]
    knees = list(knees_by_rows(measurements).values())

    def lines(
        x: _Value, y: _Value, name: str = "", *, is_dashed: bool = False, has_spread: bool = False
    ) -> Iterator[Line]:
        for number, rows in enumerate(dict.fromkeys(measurement.level.rows for measurement in successful)):
            own = [measurement for measurement in successful if measurement.level.rows == rows]
            points = tuple(
                Point(x(one), y(one), _note(one), one in knees, one.spread if has_spread else None) for one in own
            )
            yield Line(f"rows {rows}{name}", number % COLOURS, points, is_dashed)

    latency = (*lines(_clients, _median, ", p50"), *lines(_clients, _p95, ", p95", is_dashed=True))
    rows = tuple(lines(_clients, _rows, has_spread=True))
    return [
        Chart("Rows a second, with their spread", "clients", "rows/s", rows, clients, is_log=True),
        Chart("Latency", "clients", "ms", latency, clients),
        Chart("Requests a second", "clients", "requests/s", tuple(lines(_clients, _throughput)), clients),
        Chart("Latency by throughput: the knee", "requests/s", "mean ms", tuple(lines(_throughput, _mean))),
        Chart("Memory of the server", "clients", "RSS in MB", tuple(lines(_clients, _memory)), clients),
    ]


def _clients(measurement: Measurement) -> float:
    return float(measurement.level.clients)


def _median(measurement: Measurement) -> float:
    return measurement.percentile(0.5) * 1000


def _p95(measurement: Measurement) -> float:
    return measurement.percentile(0.95) * 1000


def _mean(measurement: Measurement) -> float:
    return measurement.mean * 1000


def _rows(measurement: Measurement) -> float:
    return measurement.rows_per_second


def _throughput(measurement: Measurement) -> float:
    return measurement.requests_per_second


def _memory(measurement: Measurement) -> float:
    return measurement.memory / MIB


def _note(measurement: Measurement) -> str:
    return ", ".join(f"{name} {text}" for (name, _), text in zip(COLUMNS, cells_of(measurement), strict=True))


def _figure(chart: Chart) -> str:
    keys = "".join(
        f'<li class="c{line.colour}{" dashed" if line.is_dashed else ""}"><span></span>{escape(line.name)}</li>'
        for line in chart.lines
    )
    return f"<figure><figcaption>{escape(chart.title)}</figcaption>{chart.to_svg()}<ul>{keys}</ul></figure>"


def _table(measurements: Sequence[Measurement]) -> str:
    knees = list(knees_by_rows(measurements).values())
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name, _ in COLUMNS)
    rows = [
        ('<tr class="knee">' if measurement in knees else "<tr>")
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells_of(measurement))
        + "</tr>"
        for measurement in measurements
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
