"""Shutdown: no accepted request is lost, readiness fails first, and every wait has a limit."""

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.processes import STOP_TIMEOUT, RunningServer
from tests.resilience.conftest import StartServer
from tests.resilience.connections import Connection, Response, get, post, request_once, rows
from tests.resilience.load import ConstantLoad
from tests.resilience.models import ControlledModel

pytestmark = pytest.mark.process

RESTARTS = int(os.environ.get("DRUM_TEST_RESTARTS", "2"))


@pytest.mark.parametrize(
    ("server_type", "parameters", "keep_alive"),
    [
        ("fastapi", {"LAME_DUCK_SECONDS": 0.5}, True),
        ("fastapi", {"LAME_DUCK_SECONDS": 0.5, "WORKERS": 2}, True),
        ("fastapi", {"LAME_DUCK_SECONDS": 0}, False),
        ("flask", {"LAME_DUCK_SECONDS": 0}, True),
        ("gunicorn", {"WORKERS": 2}, False),
    ],
    ids=["fastapi", "fastapi-2-workers", "fastapi-no-lame-duck", "flask", "gunicorn-2-workers"],
)
def test_restarts_under_load_lose_no_request(
    start: StartServer, server_type: str, parameters: dict[str, float], keep_alive: bool
) -> None:
    server = start(server_type, **parameters)
    with ConstantLoad(server.port, keep_alive=keep_alive, columns={"seconds": 0.01}) as load:
        for _ in range(RESTARTS):
            load.wait_for(100)
            server.send_signal(signal.SIGTERM)
            assert server.wait() == 0, server.log()
            server.start()
        load.wait_for(100)
    assert load.failures == []
    assert all(outcome.response and outcome.response.prediction == outcome.x for outcome in load.outcomes)


def ask(server: RunningServer, request: bytes) -> Response:
    return asyncio.run(request_once(server.port, request))


@pytest.mark.parametrize("server_type", ["fastapi", "flask"])
def test_a_draining_server_fails_readiness_and_serves(start: StartServer, server_type: str) -> None:
    server = start(server_type, LAME_DUCK_SECONDS=8)
    assert ask(server, post(rows(1))).prediction == 1
    server.send_signal(signal.SIGTERM)
    server.wait_until(lambda: server.status("/readyz") == 503, "failing readiness")
    responses = [ask(server, request) for request in (post(rows(2)), get("/livez"), get("/readyz"), post(rows(3)))]
    assert [response.status for response in responses] == [200, 200, 503, 200]
    assert responses[2].json() == {"status": "not ready", "reason": "worker not running"}
    assert {response.headers.get("connection") for response in responses} == {"close"}
    assert server.wait() == 0
    assert "served 3, refused 0, abandoned 0" in server.log()


def test_a_draining_server_closes_kept_connections(start: StartServer) -> None:
    server = start(LAME_DUCK_SECONDS=8)
    asyncio.run(_ask_before_and_after_the_signal(server))
    assert server.wait() == 0


async def _ask_before_and_after_the_signal(server: RunningServer) -> None:
    connection = await Connection.open(server.port)
    assert "connection" not in (await connection.request(post(rows(1)))).headers
    server.send_signal(signal.SIGTERM)
    await asyncio.to_thread(server.wait_until, lambda: server.status("/readyz") == 503, "failing readiness")
    assert (await connection.request(post(rows(2)))).headers["connection"] == "close"
    with pytest.raises((OSError, EOFError)):
        await connection.request(post(rows(3)))
    connection.close()


SLOW_LIFESPAN = """
import asyncio
from contextlib import asynccontextmanager


def init_app(app):
    @asynccontextmanager
    async def lifespan(app):
        yield
        await asyncio.sleep(1.5)

    app.router.lifespan_context = lifespan
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_lifespan_over_the_graceful_timeout_is_a_clean_stop(
    start: StartServer, model: ControlledModel, workers: int
) -> None:
    (model.path / "custom_fastapi.py").write_text(SLOW_LIFESPAN, encoding="utf-8")
    server = start(WORKERS=workers, GUNICORN_GRACEFUL_TIMEOUT=1)
    assert ask(server, post(rows(1))).prediction == 1
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0, server.log()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_graceful_timeout_of_fastapi_responds_504(start: StartServer, model: ControlledModel, workers: int) -> None:
    server = start(WORKERS=workers, GUNICORN_GRACEFUL_TIMEOUT=1)
    model.hold()
    with ThreadPoolExecutor(1) as thread:
        blocked = thread.submit(ask, server, post(rows(1)))
        server.wait_until(lambda: model.ran == [1], "prediction in the model")
        server.send_signal(signal.SIGTERM)
        # `wait` also makes sure that no process is left.
        assert server.wait() == 1, server.log()
        response = blocked.result()
    assert response.status == 504
    assert "DRUM_GRACEFUL_TIMEOUT" in response.json()["message"]
    assert "served 0, refused 0, abandoned 1" in server.log()
    assert "Traceback" not in server.log()


@pytest.mark.parametrize(("server_type", "exit_code"), [("flask", 1), ("gunicorn", 0)], ids=["flask", "gunicorn"])
def test_the_graceful_timeout_of_flask_and_gunicorn_closes_the_connection(
    start: StartServer, model: ControlledModel, server_type: str, exit_code: int
) -> None:
    server = start(server_type, GUNICORN_GRACEFUL_TIMEOUT=1)
    model.hold()
    with ThreadPoolExecutor(1) as thread:
        blocked = thread.submit(ask, server, post(rows(1)))
        server.wait_until(lambda: model.ran == [1], "prediction in the model")
        server.send_signal(signal.SIGTERM)
        assert server.wait() == exit_code, server.log()
        assert isinstance(blocked.exception(STOP_TIMEOUT), (OSError, EOFError))


@pytest.mark.parametrize(
    ("server_type", "workers"),
    [("fastapi", 1), ("fastapi", 2), ("flask", 1)],
    ids=["fastapi", "fastapi-2-workers", "flask"],
)
def test_a_second_signal_ends_the_lame_duck_time(start: StartServer, server_type: str, workers: int) -> None:
    server = start(server_type, WORKERS=workers, LAME_DUCK_SECONDS=600)
    server.send_signal(signal.SIGTERM)
    # Not by the status: a second worker that still loads the model responds 503, too.
    server.wait_until(lambda: "worker not running" in ask(server, get("/readyz")).body.decode(), "drain")
    server.send_signal(signal.SIGTERM)
    assert server.wait() in (0, 1)


def test_queued_calls_are_served_before_shutdown(start: StartServer, model: ControlledModel) -> None:
    server = start(FASTAPI_EXECUTOR_WORKERS=1)
    model.hold()
    with ThreadPoolExecutor(5) as threads:
        waiting = [threads.submit(ask, server, post(rows(x))) for x in range(5)]
        server.wait_until(lambda: server.client.get("/stats/").json()["executor_waiting"] == 4, "four queued calls")
        server.client.close()
        server.send_signal(signal.SIGTERM)
        server.wait_until(lambda: "Waiting up to 299 s for 5 requests" in server.log(), "drain")
        model.release()
        assert sorted(response.result().prediction for response in waiting) == list(range(5))
    assert server.wait() == 0
    assert "refused 0, abandoned 0" in server.log()
