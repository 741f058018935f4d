"""The report: one self-contained HTML page without scripts."""

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from datarobot_drum.drum.commands.perf_test.charts import COLOURS, Chart, Line, Point
from datarobot_drum.drum.commands.perf_test.knee import EXPLANATION, find_knee, knees_by_rows
from datarobot_drum.drum.commands.perf_test.load import Measurement
from datarobot_drum.drum.commands.perf_test.table import COLUMNS, MIB, cells_of, milliseconds
from datarobot_drum.drum.settings.build import Settings
from datarobot_drum.version import __version__

_TEMPLATE = Path(__file__).with_name("report.html")

_Value = Callable[[Measurement], float]


@dataclass(frozen=True)
class Report:
    """The content of the page. ``duration`` is the minimum duration of each measurement in seconds."""

    settings: Settings
    input_name: str
    duration: int
    measurements: tuple[Measurement, ...]


def render(report: Report) -> str:
    """Return the page."""
    model = report.settings.model
    template = Template(_TEMPLATE.read_text(encoding="utf-8"))
    return template.substitute(
        model=escape(model.code_dir.name),
        facts=_facts(report),
        knee=escape(_knee_sentence(report.measurements)),
        explanation=escape(EXPLANATION),
        charts="\n".join(_figure(chart) for chart in make_charts(report.measurements)),
        table=_table(report.measurements),
    )


def _facts(report: Report) -> str:
    settings = report.settings
    workers = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    facts = (
        f"{settings.model.target_type.value} model",
        f"{settings.server.server_type}, {workers}",
        f"rows of {report.input_name}",
        f"{report.duration} s a measurement",
        f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}, drum {__version__}",
    )
    return " · ".join(map(escape, facts))


def _knee_sentence(measurements: Sequence[Measurement]) -> str:
    knee = find_knee(measurements)
    if knee is None:
        return "There is no knee: it takes two measurements without failed requests."
    return (
        f"Knee: rows a request {knee.level.rows}, clients {knee.level.clients}: {knee.rows_per_second:,.0f} rows/s at "
        f"{milliseconds(knee.mean)} ms on average."
    )


def make_charts(measurements: Sequence[Measurement]) -> list[Chart]:
    """Return the charts of latency, throughput and memory over clients, and of latency over throughput."""
    clients = tuple(sorted({float(measurement.level.clients) for measurement in measurements}))
    successful = [measurement for measurement in measurements if measurement.latencies]
    knees = list(knees_by_rows(measurements).values())

    def lines(x: _Value, y: _Value, name: str = "", *, is_dashed: bool = False) -> Iterator[Line]:
        for number, rows in enumerate(dict.fromkeys(measurement.level.rows for measurement in successful)):
            own = [measurement for measurement in successful if measurement.level.rows == rows]
            points = tuple(Point(x(one), y(one), _note(one), one in knees) for one in own)
            yield Line(f"rows {rows}{name}", number % COLOURS, points, is_dashed)

    latency = (*lines(_clients, _median, ", p50"), *lines(_clients, _p95, ", p95", is_dashed=True))
    return [
        Chart("Latency", "clients", "ms", latency, clients),
        Chart("Throughput", "clients", "requests/s", tuple(lines(_clients, _throughput)), clients),
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
