"""Status routes while an engine starts, is ready and crashes."""

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
    """Return the statuses of the status routes, which all servers agree on."""
    return [
        assert_same_response(all_servers, "GET", path).status
        for path in ("/", "/ping", "/health/", "/livez", "/readyz")
    ]


def wait_health(all_servers: Servers, status: int) -> None:
    for server in all_servers.values():
        server.wait_until(lambda server=server: server.status("/health/") == status, f"{status} from /health/", 20)  # type: ignore[misc]


def assert_unavailable(all_servers: Servers) -> None:
    for path, details in POSTS:
        response = assert_same_response(all_servers, "POST", path, **details)
        assert (response.status, dict(response.headers)["retry-after"]) == (503, "5"), path
    assert assert_same_response(all_servers, "GET", "/models").status == 503


def assert_served(all_servers: Servers) -> None:
    for path, details in POSTS:
        assert {response.status for response in request_all(all_servers, "POST", path, **details).values()} == {200}


def assert_stream_aborted_by_engine_kill(server: RunningServer, engine: RunningEngine) -> None:
    """Kill the engine within a response, expect the client's response to abort, and do not restart the engine."""
    engine.restart()
    with pytest.raises(httpx.RemoteProtocolError), server.client.stream("GET", "/nim/killed") as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"first"
        engine.control("go")
        next(chunks)
    engine.process.wait(20)
    response = server.client.get("/nim/x")
    assert (response.status_code, "cannot be reached" in response.text) == (502, True)


def test_status_routes_follow_the_engine_state(all_servers: Servers, port: int, kind: str, tmp_path: Path) -> None:
    assert statuses(all_servers) == [200, 200, 503, 200, 503]
    assert_unavailable(all_servers)
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
        assert_unavailable(all_servers)
        engine.control("ready")
        wait_health(all_servers, 200)
        assert_served(all_servers)
        engine.process.kill()
        for server in all_servers.values():
            assert_stream_aborted_by_engine_kill(server, engine)
        wait_health(all_servers, 513)
        assert_unavailable(all_servers)
        response = assert_same_response(all_servers, "GET", "/readyz")
        assert (response.status, f"The {kind} engine was ready" in response.body.decode()) == (503, True)


def test_probes_do_not_wait_for_a_hung_engine(tmp_path: Path) -> None:
    """The engine accepts connections and sends nothing: a probe that called it would take ten seconds."""
    with (
        socket.create_server(("127.0.0.1", 0)) as unresponsive,
        engine_servers(tmp_path, unresponsive.getsockname()[1]) as all_servers,
    ):
        for server in all_servers.values():
            for _ in range(20):
                assert server.client.get("/readyz", timeout=5).status_code == 503
        unresponsive.close()  # a pending health check would delay the stop
