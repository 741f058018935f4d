"""Metrics for OpenTelemetry: what a receiver of OTLP gets from real servers, and that it equals a scrape."""

import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import httpx
import psutil
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from tests.api.models import write_code
from tests.management.management_client import PROCESS
from tests.processes import PLAIN, RunningServer

MODEL = """
import pandas as pd
from prometheus_client import Counter, Histogram

SEEN = Counter("model_rows_total", "Rows that the model has seen.", ["kind"])
SIZES = Histogram("model_sizes", "Rows of a call.", buckets=[1, 10])


def score(data, model, **kwargs):
    SEEN.labels("plain").inc(len(data))
    SIZES.observe(len(data))
    return pd.DataFrame({"Predictions": [1.0] * len(data)})
"""
ROWS = b"x\n1\n2\n"
CSV = {"Content-Type": "text/csv"}
OK_PREDICTIONS = "drum.requests{route=/predict,status=200}"

process = pytest.mark.process

Export = dict[str, float]
"""Values by name and attributes; of a histogram the number of values."""


class Receiver(ThreadingHTTPServer):
    """Receives metrics over OTLP; ``exports`` has those of all servers, in their order."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.exports: list[Export] = []
        self.resources: list[dict[str, str]] = []
        self.monotonic: set[str] = set()
        self.status = 200

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/metrics"

    def add(self, request: ExportMetricsServiceRequest) -> None:
        (resource,) = request.resource_metrics
        self.resources.append({item.key: item.value.string_value for item in resource.resource.attributes})
        export: Export = {}
        for metric in resource.scope_metrics[0].metrics:
            kind = metric.WhichOneof("data")
            data = getattr(metric, kind)
            for point in data.data_points:
                labels = ",".join(f"{item.key}={item.value.string_value}" for item in point.attributes)
                name = f"{metric.name}{{{labels}}}" if labels else metric.name
                export[name] = point.count if kind == "histogram" else point.as_double
                if kind != "gauge":
                    assert data.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
                    assert 0 < point.start_time_unix_nano < point.time_unix_nano
                    self.monotonic.add(name)
        self.exports.append(export)

    def latest(self, name: str) -> float:
        return self.exports[-1].get(name, 0.0) if self.exports else 0.0

    def fallen(self) -> list[str]:
        """Return the counts that have fallen or disappeared from one export to the next."""
        pairs = pairwise(self.exports)
        return [name for one, two in pairs for name in one.keys() & self.monotonic if two.get(name, -1.0) < one[name]]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status == 200:
            self.server.add(ExportMetricsServiceRequest.FromString(body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def running_server(tmp_path: Path, receiver: Receiver, **variables: str) -> RunningServer:
    environment = {
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": receiver.endpoint,
        "OTEL_SERVICE_NAME": "prices",
        "DRUM_LAME_DUCK_SECONDS": "0",
        **variables,
    }
    arguments = ("--code-dir", write_code(tmp_path / "model", MODEL), "--target-type", "regression")
    return RunningServer(*arguments, log=tmp_path / "log", environment=environment)


def predict(server: RunningServer, requests: int) -> None:
    for _ in range(requests):
        assert httpx.post(f"{server.url}/predict/", content=ROWS, headers=CSV, timeout=60.0, **PLAIN).status_code == 200


def workers_of(server: RunningServer) -> list[psutil.Process]:
    children = psutil.Process(server.process.pid).children()
    others = (PROCESS, "resource_tracker")
    return [child for child in children if not any(name in " ".join(child.cmdline()) for name in others)]


@process
@pytest.mark.parametrize("server_type", ["gunicorn", "fastapi"])
def test_all_workers_are_exported_as_one(tmp_path: Path, receiver: Receiver, server_type: str) -> None:
    variables = {"DRUM_SERVER_TYPE": server_type, "CUSTOM_MODEL_WORKERS": "2", "OTEL_METRIC_EXPORT_INTERVAL": "100"}
    with running_server(tmp_path, receiver, **variables) as server:
        predict(server, 10)
        server.wait_until(lambda: receiver.latest(OK_PREDICTIONS) == 10, "10 exported predictions")
        killed = workers_of(server)[0]
        os.kill(killed.pid, signal.SIGKILL)
        server.wait_until(lambda: receiver.latest("drum.worker.restarts") == 1, "a restarted worker")
        server.wait_until(lambda: len(workers_of(server)) == 2, "another worker")
        predict(server, 5)
        server.wait_until(lambda: receiver.latest(OK_PREDICTIONS) == 15, "15 exported predictions")
        server.wait_until(lambda: receiver.latest("drum.rows") == 30, "exported rows")
        infos = [name for name in receiver.exports[-1] if name.startswith("drum.model.info{")]
        assert f"server={server_type}" in infos[0] and "digest=" in infos[0]
    last = receiver.exports[-1]
    assert last["model_rows{kind=plain}"] == last["drum.rows"] == 30
    assert last["model_sizes"] == last["drum.prediction.duration"] == last["drum.request.duration"] == 15
    assert receiver.fallen() == []
    assert {resource["service.name"] for resource in receiver.resources} == {"prices"}


@process
def test_the_end_of_a_server_exports_the_last_values(tmp_path: Path, receiver: Receiver) -> None:
    with running_server(tmp_path, receiver, DRUM_SERVER_TYPE="flask") as server:
        predict(server, 3)
        assert receiver.exports == []  # the interval is a minute
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
    assert (len(receiver.exports), receiver.latest(OK_PREDICTIONS)) == (1, 3)


@process
def test_a_receiver_that_fails_is_one_warning_and_no_harm(tmp_path: Path, receiver: Receiver) -> None:
    receiver.status = 404
    with running_server(tmp_path, receiver, DRUM_SERVER_TYPE="flask", OTEL_METRIC_EXPORT_INTERVAL="50") as server:
        server.wait_until(lambda: "Metrics could not be exported" in server.log(), "a warning")
        predict(server, 3)
        receiver.status = 200
        server.wait_until(lambda: receiver.latest(OK_PREDICTIONS) == 3, "the exported predictions")
        assert server.log().count("Metrics could not be exported") == 1
        assert "Traceback" not in server.log()


@process
def test_metrics_that_are_off_are_not_exported(tmp_path: Path, receiver: Receiver) -> None:
    with running_server(tmp_path, receiver, DRUM_SERVER_TYPE="flask", DRUM_METRICS="off") as server:
        predict(server, 1)
        assert psutil.Process(server.process.pid).children() == []
    assert receiver.exports == []
