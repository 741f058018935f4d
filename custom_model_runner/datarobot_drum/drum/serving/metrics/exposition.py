"""The response to a scrape: the metrics of the server and those of the model's own code.

This module needs prometheus-client, so it is imported by the first scrape and never at a start.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import INF, floatToGoString

from datarobot_drum.drum.serving.metrics import families
from datarobot_drum.drum.serving.metrics.families import CELL_BYTES, FAMILIES, Family, Kind
from datarobot_drum.drum.serving.metrics.model_files import ModelFiles
from datarobot_drum.drum.serving.metrics.recorder import Cells, ServerCells, split_key


@dataclass(frozen=True)
class Scrape:
    """The body of the response and its media type."""

    content: bytes
    media_type: str


def scrape(server: ServerCells, routes: Sequence[str], directory: str | None, accept: str = "") -> Scrape:
    """Return all metrics of a server.

    Args:
        routes: the labels of requests, as the workers have them.
        directory: of the files that prometheus-client writes for model code; None without one.
        accept: the header of the request; it selects the format.
    """
    registry = registry_of(server, routes, directory)
    try:
        encode, media_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is no number
        encode, media_type = choose_encoder("")
    return Scrape(encode(registry), media_type)


def registry_of(server: ServerCells, routes: Sequence[str], directory: str | None) -> CollectorRegistry:
    """Return a registry of all metrics of a server; the arguments are those of ``scrape``."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_ServerCollector(server, routes))
    if directory is not None:
        registry.register(_ModelCollector(directory))
    return registry


class _ServerCollector(Collector):
    """The metrics in the cells of all workers."""

    def __init__(self, server: ServerCells, routes: Sequence[str]) -> None:
        self._all = [worker.cells for worker in server.workers]
        self._live = [worker.cells for worker in server.workers if worker.is_live]
        self._server = server
        self._routes = routes

    def collect(self) -> Iterable[Metric]:
        yield self._requests()
        yield from map(self._family, FAMILIES)
        yield from self._model_info()
        yield CounterMetricFamily(families.RESTARTS_NAME, families.RESTARTS_HELP, self._server.restarts)
        yield GaugeMetricFamily(families.START_TIME_NAME, families.START_TIME_HELP, self._server.start_time)

    def _requests(self) -> Metric:
        counts: defaultdict[tuple[str, str], float] = defaultdict(float)
        for cells in self._all:
            for slot in range(families.REQUEST_KINDS):
                key = cells[families.REQUEST_KEYS + slot]
                if not key:
                    break
                route, status = split_key(key)
                labels = (self._routes[route], str(status) if status else families.OTHER)
                counts[labels] += cells[families.REQUEST_COUNTS + slot]
        family = CounterMetricFamily(families.REQUESTS_NAME, families.REQUESTS_HELP, labels=("route", "status"))
        for labels, count in sorted(counts.items()):
            family.add_metric(labels, count)
        return family

    def _family(self, family: Family) -> Metric:
        if family.kind is Kind.HISTOGRAM:
            return self._histogram(family)
        labels = (family.label,) if family.label else ()
        is_counter = family.kind is Kind.COUNTER
        metric = (CounterMetricFamily if is_counter else GaugeMetricFamily)(family.name, family.help, labels=labels)
        combine = max if family.name in families.LARGEST else sum
        for index, value in enumerate(family.values):
            numbers = [cells[family.offset + index] for cells in (self._all if is_counter else self._live)]
            metric.add_metric((value,) if labels else (), combine(numbers) if numbers else 0.0)
        return metric

    def _histogram(self, family: Family) -> Metric:
        metric = HistogramMetricFamily(family.name, family.help)
        size = family.sum_cell - family.offset
        counts = [sum(cells[family.offset + index] for cells in self._all) for index in range(size)]
        bounds = (*family.buckets, INF)
        buckets = [(floatToGoString(bound), count) for bound, count in zip(bounds, accumulate(counts), strict=True)]
        metric.add_metric((), buckets, sum(cells[family.sum_cell] for cells in self._all))
        return metric

    def _model_info(self) -> Iterator[Metric]:
        models = [labels for cells in self._live if (labels := _model_labels(cells))]
        if models:
            names = sorted(models[0])
            family = GaugeMetricFamily(families.MODEL_INFO_NAME, families.MODEL_INFO_HELP, labels=names)
            for values in sorted({tuple(labels.get(name, "") for name in names) for labels in models}):
                family.add_metric(values, 1.0)
            yield family


def _model_labels(cells: Cells) -> dict[str, str]:
    """Return the labels of the model of a worker; empty until it is loaded."""
    length = int(cells[families.INFO_LENGTH])
    words = -(-length // CELL_BYTES)
    text = cells[families.INFO_TEXT : families.INFO_TEXT + words].tobytes()[:length]
    labels: dict[str, str] = json.loads(text) if text else {}
    return labels


class _ModelCollector(Collector):
    """The metrics of model code; those with the name of one of ours are left out."""

    def __init__(self, directory: str) -> None:
        self._files = ModelFiles(directory)

    def collect(self) -> Iterable[Metric]:
        own = {name.removesuffix("_total") for name in families.names()}
        return [metric for metric in self._files.collect() if metric.name not in own]
