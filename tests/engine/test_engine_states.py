"""What is told of an engine that starts, is ready and crashes (http-api.md H15)."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.all_servers import Servers
from tests.api.responses import assert_same_response, request_all
from tests.engine.running import RunningEngine, engine_servers
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
def all_servers(port: int, kind: str, tmp_path: Path) -> Iterator[Servers]:
    with engine_servers(tmp_path, port, kind=kind) as servers:
        yield servers


def statuses(all_servers: Servers) -> list[int]:
    """Of the status routes, the same on all servers."""
    return [
        assert_same_response(all_servers, "GET", path).status
        for path in ("/", "/ping", "/health/", "/livez", "/readyz")
    ]


def wait_health(all_servers: Servers, status: int) -> None:
    for server in all_servers.values():
        server.wait_until(lambda server=server: server.status("/health/") == status, f"{status} from /health/", 20)  # type: ignore[misc]


def assert_refused(all_servers: Servers) -> None:
    for path, details in POSTS:
        answer = assert_same_response(all_servers, "POST", path, **details)
        assert (answer.status, dict(answer.headers)["retry-after"]) == (503, "5"), path
    assert assert_same_response(all_servers, "GET", "/models").status == 503


def assert_served(all_servers: Servers) -> None:
    for path, details in POSTS:
        assert {answer.status for answer in request_all(all_servers, "POST", path, **details).values()} == {200}


def assert_broken_off_by_a_kill(server: RunningServer, engine: RunningEngine) -> None:
    """Kill the engine in the middle of an answer, which must not come to a proper end, and leave it dead."""
    engine.restart()
    with pytest.raises(httpx.RemoteProtocolError), server.client.stream("GET", "/nim/killed") as response:
        pieces = response.iter_raw()
        assert next(pieces) == b"first"
        engine.control("go")
        next(pieces)
    engine.process.wait(20)
    answer = server.client.get("/nim/x")
    assert (answer.status_code, "cannot be reached" in answer.text) == (502, True)


def test_the_engines_states_are_told(all_servers: Servers, port: int, kind: str, tmp_path: Path) -> None:
    assert statuses(all_servers) == [200, 200, 503, 200, 503]
    assert_refused(all_servers)
    assert assert_same_response(all_servers, "GET", "/nim/x").status == 502
    with RunningEngine(tmp_path / "engine.log", port=port, is_ready=False) as engine:
        assert isinstance(engine, RunningEngine)
        assert assert_same_response(all_servers, "GET", "/nim/x").status == 200
        assert statuses(all_servers) == [200, 200, 503, 200, 503]
        engine.control("ready")
        wait_health(all_servers, 200)
        assert statuses(all_servers) == [200, 200, 200, 200, 200]
        assert_served(all_servers)
        engine.control("failing")
        wait_health(all_servers, 513)
        assert statuses(all_servers) == [200, 200, 513, 200, 503]
        assert_refused(all_servers)
        engine.control("ready")
        wait_health(all_servers, 200)
        assert_served(all_servers)
        engine.process.kill()
        for server in all_servers.values():
            assert_broken_off_by_a_kill(server, engine)
        wait_health(all_servers, 513)
        assert_refused(all_servers)
        answer = assert_same_response(all_servers, "GET", "/readyz")
        assert (answer.status, f"The {kind} engine was ready" in answer.body.decode()) == (503, True)


def test_probes_never_wait_for_an_engine_that_hangs(tmp_path: Path) -> None:
    """It takes the connection and says nothing; a probe that asked it would take ten seconds."""
    with socket.create_server(("127.0.0.1", 0)) as deaf, engine_servers(tmp_path, deaf.getsockname()[1]) as all_servers:
        for server in all_servers.values():
            for _ in range(20):
                assert server.client.get("/readyz", timeout=5).status_code == 503
        deaf.close()  # a question that waits for its answer would hold up the stop
