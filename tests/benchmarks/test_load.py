"""The load generator: sent requests, counted responses, and failures of the server."""

import hashlib
import math
import random
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path

import pytest

from benchmarks.compare.load import LoadGenerator, LoadResult, Plan
from benchmarks.compare.run import run_load
from tests.benchmarks.stub_server import (
    Write,
    running_stub,
    write_chunks,
    write_closing,
    write_half,
    write_plain,
    write_until_closed,
)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """50 requests of 4 clients; the port is the server's."""
    body = tmp_path / "body"
    body.write_bytes(b"a body")
    return Plan(0, "/p", "text/csv", str(body), clients=4, warm=0, seconds=math.inf, requests=50, timeout=20.0)


def load(write: Write, plan: Plan) -> tuple[LoadResult, list[bytes]]:
    with running_stub(write) as server:
        return LoadGenerator(replace(plan, port=server.port)).run(), server.bodies


def test_client_keeps_its_connection(plan: Plan) -> None:
    result, bodies = load(write_plain, plan)
    assert result.failure == ""
    assert bodies == [b"a body"] * 50
    assert (result.requests, len(result.times), result.statuses) == (50, 50, {"200": 50})
    assert result.connections == 4
    assert min(result.times) > 0
    assert result.seconds >= max(result.times)


@pytest.mark.parametrize("write", [write_closing, write_until_closed], ids=["announced", "unannounced"])
def test_client_reconnects_after_close(plan: Plan, write: Write) -> None:
    result, bodies = load(write, plan)
    assert (result.failure, result.requests, len(bodies), result.connections) == ("", 50, 50, 50)


def test_client_reads_chunked_response(plan: Plan) -> None:
    result, _ = load(write_chunks, plan)
    assert (result.failure, result.statuses, result.connections) == ("", {"200": 50}, 4)


def test_other_statuses_count_as_rejections(plan: Plan) -> None:
    numbers = count()

    def write(handler: BaseHTTPRequestHandler) -> None:
        write_plain(handler, 503 if next(numbers) % 5 == 0 else 200)

    result, _ = load(write, plan)
    assert (result.statuses, result.rejections, len(result.times)) == ({"200": 40, "503": 10}, 10, 40)


def test_truncated_response_fails_the_load(plan: Plan) -> None:
    result, _ = load(write_half, plan)
    assert "closed the connection within a response" in result.failure
    assert not result.times


def test_refused_connection_fails_the_load(plan: Plan) -> None:
    with running_stub(write_plain) as server:
        port = server.port
    assert "could not be sent" in LoadGenerator(replace(plan, port=port)).run().failure


def test_large_bodies_arrive_complete(plan: Plan) -> None:
    body = random.Random(0).randbytes(8_000_000)
    Path(plan.body).write_bytes(body)
    result, bodies = load(write_plain, replace(plan, clients=2, requests=4))
    assert result.failure == ""
    assert {hashlib.sha256(sent).digest() for sent in bodies} == {hashlib.sha256(body).digest()}
    assert len(bodies) == 4


def test_warm_up_is_not_measured(plan: Plan) -> None:
    result, bodies = load(write_plain, replace(plan, warm=0.2, seconds=0.2, requests=0))
    assert len(bodies) == result.requests > len(result.times)
    assert 0 < result.seconds <= 0.2


def test_run_load_uses_its_own_process(plan: Plan) -> None:
    with running_stub(write_plain) as server:
        result = run_load(replace(plan, port=server.port))
    assert (result.failure, result.statuses, len(server.bodies)) == ("", {"200": 50}, 50)


def test_idle_connections_send_one_request_and_stay_open(plan: Plan) -> None:
    result, bodies = load(write_plain, replace(plan, idle=30))
    assert (result.failure, result.idle, result.connections, len(bodies)) == ("", 30, 4, 80)


def test_closed_idle_connection_fails_the_load(plan: Plan) -> None:
    result, _ = load(write_closing, replace(plan, idle=3))
    assert "After 1 idle connections: the response is 200 and closes" in result.failure


def test_load_reports_its_cpu_time(plan: Plan) -> None:
    result, _ = load(write_plain, plan)
    assert 0 < result.load_cpu <= result.elapsed * 1.5
    assert result.load_percent == 100 * result.load_cpu / result.elapsed
