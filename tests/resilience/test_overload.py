"""More predictions than threads and queue entries: which are served, which are rejected, and probes meanwhile."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.processes import RunningServer
from tests.resilience.conftest import StartServer
from tests.resilience.connections import Connection, Response, post, request_each, rows
from tests.resilience.models import ControlledModel
from tests.resilience.statistics import stats, wait_for, wait_idle

pytestmark = pytest.mark.process

OVERLOADED = {
    "message": "Server overloaded. Please retry later.",
    "error": "SERVICE_UNAVAILABLE",
    "retry_after": 5,
}
SMALL = {"FASTAPI_EXECUTOR_WORKERS": 2, "FASTAPI_EXECUTOR_QUEUE_DEPTH": 4}


def is_documented_rejection(response: Response) -> bool:
    return (
        response.status == 503
        and response.json() == OVERLOADED
        and response.headers["retry-after"] == "5"
        and response.headers["content-type"] == "application/json"
    )


@dataclass
class ConcurrentRequests:
    """Predictions in flight, each over a connection of its own."""

    server: RunningServer
    size: int
    columns: dict[str, float]

    def send(self) -> list[Response]:
        return asyncio.run(request_each(self.server.port, [post(rows(x, **self.columns)) for x in range(self.size)]))


@pytest.mark.parametrize("columns", [{}, {"slices": 1.0}], ids=["sleeping", "holding the GIL"])
def test_calls_over_the_queue_timeout_are_rejected_while_probes_respond(
    start: StartServer, model: ControlledModel, columns: dict[str, float]
) -> None:
    server = start(**SMALL, FASTAPI_EXECUTOR_QUEUE_TIMEOUT=8)  # long enough for 30 connections
    model.hold()
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(ConcurrentRequests(server, 30, columns).send)
        held = wait_for(server, running=2, waiting=28)
        assert (held["executor_pending"], held["executor_queue_available"]) == (6, 0)
        for path in ("/livez", "/readyz", "/ping/", "/health/", "/info/", "/stats/", "/capabilities/"):
            assert server.client.get(path).status_code == 200
        wait_for(server, running=2, waiting=0, rejected=28)
        model.release()
        responses = running.result()
    served = [response for response in responses if response.status == 200]
    assert len(served) == 2
    assert all(is_documented_rejection(response) for response in responses if response not in served), responses
    final = wait_idle(server)
    assert (final["executor_completed"], final["executor_rejected"]) == (2, 28)
    assert len(model.ran) == 2


def test_flask_rejects_by_the_same_rule(start: StartServer, model: ControlledModel) -> None:
    server = start("flask", FASTAPI_EXECUTOR_QUEUE_TIMEOUT=1)
    model.hold()
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(ConcurrentRequests(server, 10, {}).send)
        server.wait_until(lambda: server.log().count(" 503 ") == 9, "nine rejections")
        assert [server.status(path) for path in ("/livez", "/readyz", "/stats/")] == [200, 200, 200]
        model.release()
        responses = running.result()
    assert sum(response.status == 200 for response in responses) == 1
    assert sum(is_documented_rejection(response) for response in responses) == 9
    assert len(model.ran) == 1


def test_a_queue_timeout_of_zero_rejects_at_once(start: StartServer, model: ControlledModel) -> None:
    server = start(**SMALL, FASTAPI_EXECUTOR_QUEUE_TIMEOUT=0)
    model.hold()
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(ConcurrentRequests(server, 2, {}).send)
        wait_for(server, running=2)
        assert all(is_documented_rejection(response) for response in ConcurrentRequests(server, 20, {}).send())
        model.release()
        assert [response.status for response in running.result()] == [200, 200]
    assert wait_idle(server)["executor_rejected"] == 20


def test_metrics_match_the_responses_under_overload(start: StartServer) -> None:
    server = start(**SMALL, FASTAPI_EXECUTOR_QUEUE_TIMEOUT=0.1)
    before = stats(server)["executor_completed"]
    responses = asyncio.run(_send_repeatedly(server.port, clients=40, times=5))
    served = {x: response.prediction for x, response in responses.items() if response.status == 200}
    rejected = [response for response in responses.values() if is_documented_rejection(response)]
    assert len(served) + len(rejected) == len(responses) == 200
    assert all(x == prediction for x, prediction in served.items())
    final = wait_idle(server)
    assert final["executor_completed"] - before == len(served) > 0
    assert final["executor_rejected"] == len(rejected) > 0
    assert (final["executor_failed"], final["executor_cancelled"], final["executor_timed_out"]) == (0, 0, 0)
    assert final["executor_run_seconds"]["count"] == final["executor_completed"]


async def _send_repeatedly(port: int, clients: int, times: int) -> dict[int, Response]:
    """Responses by the ``x`` of their request, from clients that keep their connection."""
    responses: dict[int, Response] = {}

    async def send(client: int) -> None:
        connection = await Connection.open(port)
        for x in range(client * times, (client + 1) * times):
            responses[x] = await connection.request(post(rows(x, seconds=0.02)))
        connection.close()

    await asyncio.gather(*map(send, range(clients)))
    return responses


def test_calls_run_in_the_order_of_arrival(start: StartServer, model: ControlledModel) -> None:
    server = start(FASTAPI_EXECUTOR_WORKERS=1, FASTAPI_EXECUTOR_QUEUE_DEPTH=3)
    model.hold()
    with ThreadPoolExecutor(20) as threads:
        calls = []
        for x in range(20):
            calls.append(threads.submit(asyncio.run, request_each(server.port, [post(rows(x))])))
            wait_for(server, running=1, waiting=x)
        model.release()
        assert [response.prediction for call in calls for response in call.result()] == list(range(20))
    assert model.ran == list(range(20))
    wait_idle(server)
