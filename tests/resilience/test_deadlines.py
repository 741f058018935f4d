"""Predictions over the request timeout: 504, and a slot that stays busy until the call ends."""

import asyncio
from pathlib import Path

import pytest

from tests.processes import RunningServer
from tests.resilience.conftest import StartServer
from tests.resilience.connections import Response, post, request_each, request_once, rows
from tests.resilience.models import ControlledModel
from tests.resilience.resource_usage import resource_usage, worker_processes
from tests.resilience.statistics import wait_for, wait_idle

pytestmark = pytest.mark.process

# Long enough for a prediction on a busy machine. Bodies over the budget go to disk, so a leaked file is seen.
SHORT_TIMEOUT = {"CLIENT_REQUEST_TIMEOUT": 3, "FASTAPI_EXECUTOR_WORKERS": 1, "FASTAPI_MEMORY_BUDGET": "1KB"}
BLANK = "\n" * 100_000

every_server = pytest.mark.parametrize("server_type", ["flask", "gunicorn", "fastapi"])


def is_timeout(response: Response) -> bool:
    return response.status == 504 and "DRUM_CLIENT_REQUEST_TIMEOUT" in response.json()["message"]


def predict(server: RunningServer, x: int) -> Response:
    return asyncio.run(request_once(server.port, post(rows(x) + BLANK)))


@every_server
def test_a_prediction_over_the_request_timeout_gets_504_and_keeps_its_slot(
    start: StartServer, model: ControlledModel, spool: Path, server_type: str
) -> None:
    server = start(server_type, **SHORT_TIMEOUT)
    (pid,) = worker_processes(server.process.pid) or [server.process.pid]
    assert predict(server, 0).prediction == 0
    before = resource_usage(pid, spool)
    model.hold()
    assert is_timeout(predict(server, 1))
    # The only slot is busy, so this call waits in the queue until its timeout.
    assert is_timeout(predict(server, 2))
    assert model.ran == [0, 1]
    model.release()
    assert predict(server, 3).prediction == 3
    assert model.ran == [0, 1, 3]
    server.wait_until(lambda: resource_usage(pid, spool).temporary == before.temporary, "end of the temporary files")


def test_fastapi_counts_timed_out_calls(start: StartServer, model: ControlledModel) -> None:
    server = start(**SHORT_TIMEOUT)
    model.hold()
    responses = asyncio.run(request_each(server.port, [post(rows(x)) for x in range(5)]))
    assert all(map(is_timeout, responses)), responses
    late = wait_for(server, running=1, waiting=0)
    assert (late["executor_timed_out"], late["executor_completed"]) == (5, 0)
    model.release()
    assert wait_idle(server)["executor_completed"] == 1
    assert len(model.ran) == 1
    assert predict(server, 7).prediction == 7


@every_server
def test_the_queue_timeout_rejects_before_the_request_timeout(
    start: StartServer, model: ControlledModel, server_type: str
) -> None:
    server = start(server_type, **SHORT_TIMEOUT, FASTAPI_EXECUTOR_QUEUE_TIMEOUT=0.5)
    model.hold()
    responses = [predict(server, 1), predict(server, 2)]
    assert is_timeout(responses[0])
    assert responses[1].status == 503
    model.release()
    server.wait_until(lambda: predict(server, 3).status == 200, "free slot")
    assert set(model.ran) == {1, 3}


def test_gunicorn_replaces_a_worker_without_heartbeat(start: StartServer, model: ControlledModel) -> None:
    server = start("gunicorn", GUNICORN_TIMEOUT=2)
    (former,) = worker_processes(server.process.pid)
    model.hold()
    response = predict(server, 1)
    assert response.status == 504
    assert "DRUM_GUNICORN_TIMEOUT" in response.json()["message"]
    model.release()
    server.wait_until(lambda: former not in worker_processes(server.process.pid), "end of the hung worker")
    assert predict(server, 2).prediction == 2
