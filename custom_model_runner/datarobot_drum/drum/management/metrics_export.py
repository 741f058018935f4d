"""Sends the metrics of all workers to OpenTelemetry, in the process of the management port.

The metrics are those of a scrape, from the same memory, so nothing is counted twice. OpenTelemetry has no observable
histogram, hence no instruments: the points are built from a scrape and passed to the exporters.

This module needs the extra ``otel``, so it is imported only where metrics are exported.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import entry_points
from typing import Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.metrics_core import Metric as PrometheusMetric
from prometheus_client.samples import Sample

from datarobot_drum.drum.serving.metrics.exposition import registry_of
from datarobot_drum.drum.serving.metrics.families import names
from datarobot_drum.drum.serving.metrics.recorder import ServerCells
from datarobot_drum.drum.serving.route_labels import all_labels
from datarobot_drum.version import __version__

logger = logging.getLogger("drum.management")

_GROUP = "opentelemetry_metrics_exporter"
_EXPORTER_LOGGER = "opentelemetry.exporter"
_CUMULATIVE = AggregationTemporality.CUMULATIVE
_NANOSECONDS = 1_000_000_000

Labels = tuple[tuple[str, str], ...]


def load_exporters(exporters: Sequence[str]) -> list[MetricExporter]:
    """Return the exporters of OpenTelemetry's registry with these names; the others are logged.

    A reader that waits to be asked, such as ``prometheus``, is none.
    """
    loaded: list[MetricExporter] = []
    for name in exporters:
        try:
            created = next(iter(entry_points(group=_GROUP, name=name))).load()()
        except (StopIteration, ImportError):
            created = None
        if isinstance(created, MetricExporter):
            loaded.append(created)
        else:
            logger.warning("Metrics are not exported by %r: it is not installed, or no exporter.", name)
    return loaded


class MetricsExport:
    """A thread that exports the metrics of a server again and again, and a last time at the end.

    Args:
        read_server: returns the cells of all workers.
        directory: of the files that prometheus-client writes for model code; None without one.
        interval: seconds from one export to the next.
    """

    def __init__(
        self,
        exporters: Sequence[MetricExporter],
        read_server: Callable[[], ServerCells],
        directory: str | None,
        interval: float,
    ) -> None:
        self._exporters = exporters
        self._read_server = read_server
        self._directory = directory
        self._interval = interval
        self._routes = all_labels()
        self._resource = Resource.create()
        self._has_failed = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drum-metrics-export", daemon=True)
        # An unreachable collector is one WARNING of ours, not a traceback in each interval.
        logging.getLogger(_EXPORTER_LOGGER).setLevel(logging.CRITICAL)

    def start(self) -> "MetricsExport":
        self._thread.start()
        return self

    def stop(self, timeout: float) -> None:
        """Export the last values, and wait for that for at most ``timeout`` seconds."""
        self._stop.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._export()
        self._export()

    def _export(self) -> None:
        try:
            server = self._read_server()
            data = to_metrics_data(
                registry_of(server, self._routes, self._directory).collect(), server.start_time, self._resource
            )
            has_failed = False
            for exporter in self._exporters:
                has_failed |= exporter.export(data) is not MetricExportResult.SUCCESS
        except Exception:  # a file of model code may be broken, or an exporter
            logger.debug("An export of metrics failed.", exc_info=True)
            has_failed = True
        if has_failed and not self._has_failed:
            logger.warning(
                "Metrics could not be exported (OTEL_EXPORTER_OTLP_ENDPOINT); trying again every %g s. "
                "OTEL_METRICS_EXPORTER=none switches the export off.",
                self._interval,
            )
        elif self._has_failed and not has_failed:
            logger.info("Metrics are exported again.")
        self._has_failed = has_failed


def to_metrics_data(metrics: Iterable[PrometheusMetric], start_time: float, resource: Resource) -> MetricsData:
    """Return the metrics of a scrape as OpenTelemetry has them, all of them cumulative since ``start_time``."""
    start, now = int(start_time * _NANOSECONDS), time.time_ns()
    converted = [found for metric in metrics for found in _convert(metric, start, now) if found.data.data_points]
    scope = InstrumentationScope("datarobot_drum", __version__)
    return MetricsData([ResourceMetrics(resource, [ScopeMetrics(scope, converted, "")], "")])


def _convert(metric: PrometheusMetric, start: int, now: int) -> Iterator[Metric]:
    """Yield the metrics for one of Prometheus; several for a summary."""
    name, unit = _name_and_unit(metric)
    if metric.type == "histogram":
        points = _histogram_points(metric.samples, start, now)
        yield Metric(name, metric.documentation, unit, Histogram(points, _CUMULATIVE))
    elif metric.type == "counter":
        samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
        yield Metric(name, metric.documentation, unit, _sum(samples, start, now))
    elif metric.type == "summary":
        for part in ("count", "sum"):
            samples = [sample for sample in metric.samples if sample.name == f"{metric.name}_{part}"]
            yield Metric(f"{name}_{part}", metric.documentation, unit, _sum(samples, start, now))
    else:
        points_now = [NumberDataPoint(sample.labels, start, now, float(sample.value)) for sample in metric.samples]
        yield Metric(name, metric.documentation, unit, Gauge(points_now))


def _name_and_unit(metric: PrometheusMetric) -> tuple[str, str]:
    """Return name and unit, from which OpenTelemetry's rules for Prometheus make the name of Prometheus again.

    Names of model code stay as they are.
    """
    name = metric.name
    if name not in _OWN_NAMES:
        return name, ""
    unit = "s" if name.endswith("_seconds") else "By" if name.endswith("_bytes") else ""
    return name.removesuffix("_seconds").replace("_", "."), unit


_OWN_NAMES = frozenset(name.removesuffix("_total") for name in names())


def _sum(samples: Iterable[Sample], start: int, now: int) -> Sum:
    points = [NumberDataPoint(sample.labels, start, now, float(sample.value)) for sample in samples]
    return Sum(points, _CUMULATIVE, is_monotonic=True)


def _histogram_points(samples: Iterable[Sample], start: int, now: int) -> list[HistogramDataPoint]:
    """Return a point for each set of labels; buckets of Prometheus contain those below, others do not."""
    buckets: dict[Labels, list[tuple[float, float]]] = {}
    sums: dict[Labels, float] = {}
    for sample in samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        key = tuple(sorted(labels.items()))
        if sample.name.endswith("_bucket"):
            buckets.setdefault(key, []).append((float(sample.labels["le"]), sample.value))
        elif sample.name.endswith("_sum"):
            sums[key] = sample.value
    return [_histogram_point(key, sorted(found), sums.get(key, 0.0), start, now) for key, found in buckets.items()]


def _histogram_point(
    labels: Labels, buckets: Sequence[tuple[float, float]], total: float, start: int, now: int
) -> HistogramDataPoint:
    counts = [count for _, count in buckets]
    own = [int(count - below) for below, count in zip([0.0, *counts], counts, strict=False)]
    unknown: Any = None  # neither the smallest nor the largest value is recorded
    bounds = [bound for bound, _ in buckets[:-1]]
    return HistogramDataPoint(dict(labels), start, now, sum(own), total, own, bounds, unknown, unknown)
