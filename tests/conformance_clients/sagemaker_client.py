"""SageMaker's SDK: its runtime client for local endpoints, with its serializers and deserializers.

The requests are those that the service sends to a container: ``POST /invocations`` and ``GET /ping``.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from sagemaker.core.deserializers.base import CSVDeserializer, JSONDeserializer, JSONLinesDeserializer
from sagemaker.core.local import local_session
from sagemaker.core.serializers.base import CSVSerializer, JSONLinesSerializer, JSONSerializer, NumpySerializer

from tests.conformance_clients.checks import Checks, NotSupported, Target

CHECKS = Checks(("sagemaker-core",), needs="sagemaker")

PINGS, CLIENTS, ROWS, PROMISE = 20, 4, 2000, 2.0

local_session.get_docker_host = lambda: "127.0.0.1"  # it asks Docker, and no container runs here


def _invoke(target: Target, data: Any, serializer: Any, deserializer: Any, content_type: str = "") -> Any:
    """Invoke the endpoint as the SDK's predictor does; raises AssertionError with the body of an error."""
    client = local_session.LocalSagemakerRuntimeClient({"local": {"serving_port": urlsplit(target.sagemaker).port}})
    response = client.invoke_endpoint(
        Body=serializer.serialize(data),
        EndpointName="wine",
        ContentType=content_type or serializer.CONTENT_TYPE,
        Accept=", ".join(deserializer.ACCEPT),
    )
    status = response["Body"].status
    assert status == 200, f"{status}: {response['Body'].read().decode()}"
    return deserializer.deserialize(response["Body"], response["ContentType"])


def _numbers(target: Target, prediction: Any) -> list[float]:
    return [float(prediction[label]) for label in target.labels]


def _cells(target: Target) -> list[float]:
    return list(target.row.values())


@CHECKS.add("`CSVSerializer`: csv without a header; `JSONDeserializer`", "SageMaker, csv without a header")
def csv(target: Target) -> Any:
    document = _invoke(target, [_cells(target)], CSVSerializer(), JSONDeserializer())
    return _numbers(target, document["predictions"][0])


@CHECKS.add("the same with `Content-Type: text/csv; header=absent`", "SageMaker, csv, `header=absent`")
def csv_declared(target: Target) -> Any:
    document = _invoke(target, [_cells(target)], CSVSerializer(), JSONDeserializer(), "text/csv; header=absent")
    return _numbers(target, document["predictions"][0])


@CHECKS.add("`CSVSerializer`, `CSVDeserializer`: csv out, with a header", "SageMaker, csv in and out")
def csv_out(target: Target) -> Any:
    header, cells = _invoke(target, [_cells(target)], CSVSerializer(), CSVDeserializer())
    return _numbers(target, dict(zip(header, cells, strict=True)))


@CHECKS.add("`JSONSerializer`: records", "SageMaker, JSON records")
def json_records(target: Target) -> Any:
    document = _invoke(target, [dict(target.row)], JSONSerializer(), JSONDeserializer())
    return _numbers(target, document["predictions"][0])


@CHECKS.add("`JSONSerializer`: rows", "SageMaker, JSON rows")
def json_rows(target: Target) -> Any:
    document = _invoke(target, [_cells(target)], JSONSerializer(), JSONDeserializer())
    return _numbers(target, document["predictions"][0])


@CHECKS.add("`JSONLinesSerializer`, `JSONLinesDeserializer`", "SageMaker, JSON lines")
def json_lines(target: Target) -> Any:
    (line,) = _invoke(target, [dict(target.row)], JSONLinesSerializer(), JSONLinesDeserializer())
    return _numbers(target, line["prediction"])


@CHECKS.add("a wrong number of columns is an error with the server's text")
def wrong_shape(target: Target) -> None:
    try:
        _invoke(target, [[1.0]], CSVSerializer(), JSONDeserializer())
    except AssertionError as error:
        assert str(error).startswith("422: ") and "takes 13" in str(error), error
    else:
        raise AssertionError("no error")


@CHECKS.add("`NumpySerializer` (`application/x-npy`), `libsvm`, `recordio-protobuf`")
def other_types(target: Target) -> None:
    try:
        _invoke(target, [_cells(target)], NumpySerializer(), JSONDeserializer())
    except AssertionError as error:
        assert str(error).startswith("415: ") and "text/csv" in str(error), error
        raise NotSupported("415 that names the media types") from error
    raise AssertionError("no error")


@CHECKS.add(
    f"`/ping` within {PROMISE:g} s, {PINGS} times while {CLIENTS} clients send {ROWS} rows each, again and again"
)
def ping(target: Target) -> str:
    with requests.Session() as session, _busy(target):
        seconds = [_time_ping(session, target) for _ in range(PINGS)]
    assert max(seconds) < PROMISE, f"the slowest took {max(seconds):.2f} s"
    return f"slowest {max(seconds) * 1000:.0f} ms"


def _time_ping(session: requests.Session, target: Target) -> float:
    start = time.perf_counter()
    response = session.get(f"{target.sagemaker}/ping", timeout=60)
    assert response.status_code == 200, response.text
    return time.perf_counter() - start


@contextmanager
def _busy(target: Target) -> Iterator[None]:
    """Keep the server busy with predictions."""
    has_ended = threading.Event()
    body = CSVSerializer().serialize([_cells(target)] * ROWS)
    has_begun = threading.Barrier(CLIENTS + 1)

    def predict() -> None:
        with requests.Session() as session:
            has_begun.wait()
            while not has_ended.is_set():
                session.post(f"{target.sagemaker}/invocations", data=body, headers={"Content-Type": "text/csv"})

    threads = [threading.Thread(target=predict) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    has_begun.wait()
    try:
        yield
    finally:
        has_ended.set()
        for thread in threads:
            thread.join()
