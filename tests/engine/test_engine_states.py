"""Status routes while an engine starts, is ready and crashes."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.answers import ask_all, the_one
from tests.api.trios import Trio
from tests.engine.running import RunningEngine, engine_trio
from tests.processes import RunningServer, free_port

pytestmark = pytest.mark.process

CHAT = {"messages": [{"role": "user", "content": "hi"}]}
POSTS: list[tuple[str, dict[str, Any]]] = [
    ("/chat/completions", {"json": CHAT}),
    ("/v1/chat/completions", {"json": {**CHAT, "stream": True}}),
    ("/predict/", {"content": "promptText\na\n"}),
    ("/predictionsStream/", {"content": "promptText\na\n"}),
]


@pytest.fixture(params=["nim", "vllm"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def trio(port: int, kind: str, tmp_path: Path) -> Iterator[Trio]:
    with engine_trio(tmp_path, port, kind=kind) as trio:
        yield trio


def statuses(trio: Trio) -> list[int]:
    """Return the statuses of the status routes, which all servers agree on."""
    return [the_one(ask_all(trio, "GET", path)).status for path in ("/", "/ping", "/health/", "/livez", "/readyz")]


def wait_health(trio: Trio, status: int) -> None:
    for server in trio.values():
        server.wait_until(lambda server=server: server.status("/health/") == status, f"{status} from /health/", 20)  # type: ignore[misc]


def assert_unavailable(trio: Trio) -> None:
    for path, details in POSTS:
        answer = the_one(ask_all(trio, "POST", path, **details))
        assert (answer.status, dict(answer.headers)["retry-after"]) == (503, "5"), path
    assert the_one(ask_all(trio, "GET", "/models")).status == 503


def assert_served(trio: Trio) -> None:
    for path, details in POSTS:
        assert {answer.status for answer in ask_all(trio, "POST", path, **details).values()} == {200}


def assert_stream_aborted_by_engine_kill(server: RunningServer, engine: RunningEngine) -> None:
    """Kill the engine within a response, expect the client's response to abort, and do not restart the engine."""
    engine.restart()
    with pytest.raises(httpx.RemoteProtocolError), server.client.stream("GET", "/nim/killed") as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"first"
        engine.control("go")
        next(chunks)
    engine.process.wait(20)
    answer = server.client.get("/nim/x")
    assert (answer.status_code, "cannot be reached" in answer.text) == (502, True)


def test_status_routes_follow_the_engine_state(trio: Trio, port: int, kind: str, tmp_path: Path) -> None:
    assert statuses(trio) == [200, 200, 503, 200, 503]
    assert_unavailable(trio)
    assert the_one(ask_all(trio, "GET", "/nim/x")).status == 502
    with RunningEngine(tmp_path / "engine.log", port=port, is_ready=False) as engine:
        assert isinstance(engine, RunningEngine)
        assert the_one(ask_all(trio, "GET", "/nim/x")).status == 200
        assert statuses(trio) == [200, 200, 503, 200, 503]
        engine.control("ready")
        wait_health(trio, 200)
        assert statuses(trio) == [200, 200, 200, 200, 200]
        assert_served(trio)
        engine.control("failing")
        wait_health(trio, 513)
        assert statuses(trio) == [200, 200, 513, 200, 503]
        assert_unavailable(trio)
        engine.control("ready")
        wait_health(trio, 200)
        assert_served(trio)
        engine.process.kill()
        for server in trio.values():
            assert_stream_aborted_by_engine_kill(server, engine)
        wait_health(trio, 513)
        assert_unavailable(trio)
        answer = the_one(ask_all(trio, "GET", "/readyz"))
        assert (answer.status, f"The {kind} engine was ready" in answer.body.decode()) == (503, True)


def test_probes_do_not_wait_for_a_hung_engine(tmp_path: Path) -> None:
    """The engine accepts connections and sends nothing: a probe that called it would take ten seconds."""
    with (
        socket.create_server(("127.0.0.1", 0)) as unresponsive,
        engine_trio(tmp_path, unresponsive.getsockname()[1]) as trio,
    ):
        for server in trio.values():
            for _ in range(20):
                assert server.client.get("/readyz", timeout=5).status_code == 503
        unresponsive.close()  # a pending health check would delay the stop
