"""The metrics of a scrape as OpenTelemetry has them: names, units and values."""

import re

from opentelemetry.sdk.metrics.export import Histogram, MetricsData
from opentelemetry.sdk.resources import Resource

from datarobot_drum.drum.management.metrics_export import load_exporters, to_metrics_data
from datarobot_drum.drum.serving.metrics import families
from datarobot_drum.drum.serving.metrics.exposition import registry_of
from datarobot_drum.drum.serving.metrics.families import QUEUE_SECONDS, TOKENS
from datarobot_drum.drum.serving.route_labels import all_labels
from tests.serving.metrics.test_recorder import recorder, scrape


def exported() -> tuple[MetricsData, dict[str, float]]:
    own = recorder()
    own.describe_model({"model": "a"})
    own.observe(QUEUE_SECONDS, 0.003)
    own.observe(QUEUE_SECONDS, 1000.0)
    own.add(TOKENS, 7, "out")
    own.request_ended("/predict", 200, 0.1)
    server = own.read_server()
    return to_metrics_data(registry_of(server, all_labels(), None).collect(), 1.0, Resource({})), scrape(server)


def to_prometheus_name(name: str, unit: str, *, is_counter: bool) -> str:
    """Return the name in Prometheus by the rules of OpenTelemetry."""
    words = re.split(r"[^a-zA-Z0-9]+", name)
    suffix = {"s": "seconds", "By": "bytes", "": ""}[unit]
    words += [suffix] if suffix and suffix not in words else []
    return "_".join([*words, "total"] if is_counter else words)


def test_every_name_is_that_of_prometheus_again() -> None:
    data, _ = exported()
    found = {
        to_prometheus_name(metric.name, metric.unit or "", is_counter=getattr(metric.data, "is_monotonic", False))
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }
    assert found == set(families.names())


def test_buckets_have_the_values_of_the_scrape() -> None:
    data, scraped = exported()
    metrics = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    histogram = metrics["drum.queue.wait"].data
    assert isinstance(histogram, Histogram)
    (point,) = histogram.data_points
    assert (point.count, point.sum) == (2, 1000.003)
    assert (tuple(point.explicit_bounds), len(point.bucket_counts)) == (QUEUE_SECONDS.buckets, 15)
    total = 0
    for bound, count in zip(point.explicit_bounds, point.bucket_counts, strict=False):
        total += count
        assert scraped[f"drum_queue_wait_seconds_bucket[('le', '{bound}')]"] == total


def test_only_exporters_are_loaded() -> None:
    assert [type(found).__name__ for found in load_exporters(["otlp_proto_http", "nothing"])] == ["OTLPMetricExporter"]
