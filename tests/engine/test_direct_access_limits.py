"""Direct access below a URL prefix, and its limits of time, body size and header values."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.api.aborted_responses import read_until_abort
from tests.api.all_servers import Servers
from tests.api.connections import body_of, exchange, request_bytes, status_of
from tests.api.responses import assert_same_response
from tests.api.test_transfers import chunked
from tests.engine.running import RunningEngine, engine_servers
from tests.processes import PLAIN

pytestmark = pytest.mark.process

UPLOAD_LIMIT = 200_000


@pytest.fixture(scope="module")
def strict_servers(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """All servers with a URL prefix, limits, and forwarded authorization."""
    limits = {
        "URL_PREFIX": "/a/b",
        "DRUM_FASTAPI_MAX_UPLOAD_SIZE": str(UPLOAD_LIMIT),
        "NIM_DIRECT_ACCESS_REQUEST_TIMEOUT": "0.5",
        "DRUM_ENGINE_FORWARD_AUTHORIZATION": "1",
        "DRUM_ENGINE_HOST": "localhost",
    }
    folder = tmp_path_factory.mktemp("strict")
    words = ("--target-type", "unstructured")
    with engine_servers(folder, engine.port, *words, kind="vllm", environment=limits) as servers:
        yield servers


@pytest.mark.parametrize("path", ["/a/b/nim/x%20y", "/%61%2fb/directAccess/x%20y"])
def test_direct_access_is_mounted_under_the_url_prefix(strict_servers: Servers, path: str) -> None:
    for server in strict_servers.values():
        response = exchange(server, request_bytes(server, f"GET {path} HTTP/1.1", "Authorization: Bearer x"))
        document = json.loads(body_of(response))
        assert document["target"] == "/x%20y"
        assert ["Authorization", "Bearer x"] in document["headers"]


@pytest.mark.parametrize("path", ["/nim/silent", "/nim/silent?%2e"])
def test_silent_engine_is_a_gateway_timeout(strict_servers: Servers, path: str) -> None:
    response = assert_same_response(strict_servers, "POST", path, content=b"abc")
    assert (response.status, b"NIM_DIRECT_ACCESS_REQUEST_TIMEOUT" in response.body) == (504, True)


def test_stalled_engine_response_is_aborted(strict_servers: Servers) -> None:
    for server in strict_servers.values():
        assert read_until_abort(server, "/nim/stalled") == (200, b"first")


@pytest.mark.parametrize("more", [0, 1, 1_000_000])
def test_body_over_the_limit_returns_413(strict_servers: Servers, more: int) -> None:
    response = assert_same_response(strict_servers, "PUT", "/nim/x", content=b"x" * (UPLOAD_LIMIT + more))
    assert response.status == (413 if more else 200)


@pytest.mark.parametrize("more", [0, 1, 1_000_000])
def test_chunked_body_over_the_limit_returns_413(strict_servers: Servers, more: int) -> None:
    size = UPLOAD_LIMIT + more
    for server in strict_servers.values():
        chunks = [b"x" * min(50_000, size - start) for start in range(0, size, 50_000)]
        head = request_bytes(server, "PUT /a/b/nim/x HTTP/1.1", "Transfer-Encoding: chunked")
        response = exchange(server, head, *chunked(*chunks))
        assert status_of(response) == (413 if more else 200)


@pytest.mark.parametrize("length", ["-1", "x", "1,1"])
def test_invalid_content_length_is_a_bad_request(strict_servers: Servers, length: str) -> None:
    for server in strict_servers.values():
        response = exchange(server, request_bytes(server, "POST /a/b/nim/x HTTP/1.1", f"Content-Length: {length}"))
        assert status_of(response) == 400


def test_direct_access_uses_no_prediction_thread(engine: RunningEngine, tmp_path: Path) -> None:
    """Calls that wait for the engine use neither the only prediction thread nor its queue."""
    environment = {"DRUM_FASTAPI_EXECUTOR_WORKERS": "1", "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "0"}
    with engine_servers(tmp_path, engine.port, environment=environment) as all_servers, ExitStack() as waiting:
        server = all_servers["fastapi"]
        for _ in range(8):
            client = waiting.enter_context(httpx.Client(base_url=server.url, timeout=60, **PLAIN))
            response = waiting.enter_context(client.stream("GET", "/nim/stalled/here"))
            assert response.status_code == 200
        assert server.client.post("/predict/", content="promptText\nhi\n").status_code == 200
        assert server.client.get("/stats/").json()["executor_pending"] == 0
