"""The load generator: it sends what it was told to, counts what came of it, and tells when a server fails."""

import hashlib
import math
import random
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path

import pytest

from benchmarks.compare.load import Crowd, Outcome, Plan
from benchmarks.compare.measuring import run_load
from tests.benchmarks.answering import (
    Write,
    answering,
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
    return Plan(0, "/p", "text/csv", str(body), clients=4, warm=0, seconds=math.inf, requests=50, patience=20.0)


def load(write: Write, plan: Plan) -> tuple[Outcome, list[bytes]]:
    with answering(write) as server:
        return Crowd(replace(plan, port=server.port)).run(), server.bodies


def test_each_client_keeps_its_connection(plan: Plan) -> None:
    outcome, bodies = load(write_plain, plan)
    assert outcome.failure == ""
    assert bodies == [b"a body"] * 50
    assert (outcome.requests, len(outcome.times), outcome.statuses) == (50, 50, {"200": 50})
    assert outcome.connections == 4
    assert min(outcome.times) > 0
    assert outcome.seconds >= max(outcome.times)


@pytest.mark.parametrize("write", [write_closing, write_until_closed], ids=["told", "only done"])
def test_a_closed_connection_is_opened_anew(plan: Plan, write: Write) -> None:
    outcome, bodies = load(write, plan)
    assert (outcome.failure, outcome.requests, len(bodies), outcome.connections) == ("", 50, 50, 50)


def test_answers_in_chunks_are_read_to_their_end(plan: Plan) -> None:
    outcome, _ = load(write_chunks, plan)
    assert (outcome.failure, outcome.statuses, outcome.connections) == ("", {"200": 50}, 4)


def test_another_status_than_200_does_not_count(plan: Plan) -> None:
    numbers = count()

    def write(handler: BaseHTTPRequestHandler) -> None:
        write_plain(handler, 503 if next(numbers) % 5 == 0 else 200)

    outcome, _ = load(write, plan)
    assert (outcome.statuses, outcome.refusals, len(outcome.times)) == ({"200": 40, "503": 10}, 10, 40)


def test_half_an_answer_is_a_failure(plan: Plan) -> None:
    outcome, _ = load(write_half, plan)
    assert "closed the connection in the middle" in outcome.failure
    assert not outcome.times


def test_nobody_listens(plan: Plan) -> None:
    with answering(write_plain) as server:
        port = server.port
    assert "could not be sent" in Crowd(replace(plan, port=port)).run().failure


def test_large_bodies_arrive_whole(plan: Plan) -> None:
    body = random.Random(0).randbytes(8_000_000)
    Path(plan.body).write_bytes(body)
    outcome, bodies = load(write_plain, replace(plan, clients=2, requests=4))
    assert outcome.failure == ""
    assert {hashlib.sha256(sent).digest() for sent in bodies} == {hashlib.sha256(body).digest()}
    assert len(bodies) == 4


def test_the_warm_up_is_not_measured(plan: Plan) -> None:
    outcome, bodies = load(write_plain, replace(plan, warm=0.2, seconds=0.2, requests=0))
    assert len(bodies) == outcome.requests > len(outcome.times)
    assert 0 < outcome.seconds <= 0.2


def test_the_load_runs_in_a_process_of_its_own(plan: Plan) -> None:
    with answering(write_plain) as server:
        outcome = run_load(replace(plan, port=server.port))
    assert (outcome.failure, outcome.statuses, len(server.bodies)) == ("", {"200": 50}, 50)


def test_idle_connections_are_answered_once_and_kept(plan: Plan) -> None:
    outcome, bodies = load(write_plain, replace(plan, idle=30))
    assert (outcome.failure, outcome.idle, outcome.connections, len(bodies)) == ("", 30, 4, 80)


def test_an_idle_connection_that_is_not_kept_fails_the_load(plan: Plan) -> None:
    outcome, _ = load(write_closing, replace(plan, idle=3))
    assert "After 1 idle connections: the answer is 200 and the last" in outcome.failure


def test_the_load_knows_what_it_costs(plan: Plan) -> None:
    outcome, _ = load(write_plain, plan)
    assert 0 < outcome.load_cpu <= outcome.lasted * 1.5
    assert outcome.load_percent == 100 * outcome.load_cpu / outcome.lasted
