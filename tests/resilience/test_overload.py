"""More predictions than threads and queue: who is served, who is refused and how, and who never notices."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.processes import RunningServer
from tests.resilience.conftest import StartServer
from tests.resilience.connections import Answer, Connection, ask_each, post, rows
from tests.resilience.models import ObedientModel
from tests.resilience.statistics import stats, wait_for, wait_idle

pytestmark = pytest.mark.process

OVERLOADED = {
    "message": "Server overloaded. Please retry later.",
    "error": "SERVICE_UNAVAILABLE",
    "retry_after": 5,
}
SMALL = {"FASTAPI_EXECUTOR_WORKERS": 2, "FASTAPI_EXECUTOR_QUEUE_DEPTH": 4}


def is_documented_refusal(answer: Answer) -> bool:
    return (
        answer.status == 503
        and answer.json() == OVERLOADED
        and answer.headers["retry-after"] == "5"
        and answer.headers["content-type"] == "application/json"
    )


@dataclass
class Crowd:
    """Predictions in flight, each over a connection of its own."""

    server: RunningServer
    size: int
    columns: dict[str, float]

    def ask(self) -> list[Answer]:
        return asyncio.run(ask_each(self.server.port, [post(rows(x, **self.columns)) for x in range(self.size)]))


@pytest.mark.parametrize("columns", [{}, {"slices": 1.0}], ids=["sleeping", "holding the interpreter"])
def test_whoever_finds_no_thread_in_time_is_refused_and_the_probes_never_notice(
    start: StartServer, model: ObedientModel, columns: dict[str, float]
) -> None:
    server = start(**SMALL, FASTAPI_EXECUTOR_QUEUE_TIMEOUT=3)
    model.hold()
    with ThreadPoolExecutor(1) as thread:
        crowd = thread.submit(Crowd(server, 30, columns).ask)
        held = wait_for(server, running=2, waiting=28)
        assert (held["executor_pending"], held["executor_queue_available"]) == (6, 0)
        for path in ("/livez", "/readyz", "/ping/", "/health/", "/info/", "/stats/", "/capabilities/"):
            assert server.client.get(path).status_code == 200
        wait_for(server, running=2, waiting=0, rejected=28)
        model.release()
        answers = crowd.result()
    served = [answer for answer in answers if answer.status == 200]
    assert len(served) == 2
    assert all(is_documented_refusal(answer) for answer in answers if answer not in served), answers
    final = wait_idle(server)
    assert (final["executor_completed"], final["executor_rejected"]) == (2, 28)
    assert len(model.ran) == 2


def test_the_one_thread_of_flask_refuses_by_the_same_rule(start: StartServer, model: ObedientModel) -> None:
    server = start("flask", FASTAPI_EXECUTOR_QUEUE_TIMEOUT=1)
    model.hold()
    with ThreadPoolExecutor(1) as thread:
        crowd = thread.submit(Crowd(server, 10, {}).ask)
        server.wait_until(lambda: server.log().count(" 503 ") == 9, "nine refusals")
        assert [server.status(path) for path in ("/livez", "/readyz", "/stats/")] == [200, 200, 200]
        model.release()
        answers = crowd.result()
    assert sum(answer.status == 200 for answer in answers) == 1
    assert sum(is_documented_refusal(answer) for answer in answers) == 9
    assert len(model.ran) == 1


def test_a_queue_timeout_of_zero_refuses_at_once(start: StartServer, model: ObedientModel) -> None:
    server = start(**SMALL, FASTAPI_EXECUTOR_QUEUE_TIMEOUT=0)
    model.hold()
    with ThreadPoolExecutor(1) as thread:
        crowd = thread.submit(Crowd(server, 2, {}).ask)
        wait_for(server, running=2)
        assert all(is_documented_refusal(answer) for answer in Crowd(server, 20, {}).ask())
        model.release()
        assert [answer.status for answer in crowd.result()] == [200, 200]
    assert wait_idle(server)["executor_rejected"] == 20


def test_under_steady_overload_every_answer_belongs_to_its_request_and_the_counts_add_up(start: StartServer) -> None:
    server = start(**SMALL, FASTAPI_EXECUTOR_QUEUE_TIMEOUT=0.1)
    before = stats(server)["executor_completed"]
    answers = asyncio.run(_ask_again_and_again(server.port, clients=40, times=5))
    served = {x: answer.prediction for x, answer in answers.items() if answer.status == 200}
    refused = [answer for answer in answers.values() if is_documented_refusal(answer)]
    assert len(served) + len(refused) == len(answers) == 200
    assert all(x == prediction for x, prediction in served.items())
    final = wait_idle(server)
    assert final["executor_completed"] - before == len(served) > 0
    assert final["executor_rejected"] == len(refused) > 0
    assert (final["executor_failed"], final["executor_cancelled"], final["executor_timed_out"]) == (0, 0, 0)
    assert final["executor_run_seconds"]["count"] == final["executor_completed"]


async def _ask_again_and_again(port: int, clients: int, times: int) -> dict[int, Answer]:
    """Answers by the ``x`` of their request, from clients that keep their connection."""
    answers: dict[int, Answer] = {}

    async def ask(client: int) -> None:
        connection = await Connection.open(port)
        for x in range(client * times, (client + 1) * times):
            answers[x] = await connection.ask(post(rows(x, seconds=0.02)))
        connection.close()

    await asyncio.gather(*map(ask, range(clients)))
    return answers


def test_whoever_comes_first_is_served_first(start: StartServer, model: ObedientModel) -> None:
    server = start(FASTAPI_EXECUTOR_WORKERS=1, FASTAPI_EXECUTOR_QUEUE_DEPTH=3)
    model.hold()
    with ThreadPoolExecutor(20) as threads:
        asked = []
        for x in range(20):
            asked.append(threads.submit(asyncio.run, ask_each(server.port, [post(rows(x))])))
            wait_for(server, running=1, waiting=x)
        model.release()
        assert [answer.prediction for call in asked for answer in call.result()] == list(range(20))
    assert model.ran == list(range(20))
    wait_idle(server)
