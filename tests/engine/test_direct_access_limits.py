"""Direct access below a prefix, and its limits: of time, of size, of what a header may say."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.api.aborted import read_until_broken
from tests.api.answers import ask_all, the_one
from tests.api.connections import body_of, exchange, request_bytes, status_of
from tests.api.test_transfers import chunked
from tests.api.trios import Trio
from tests.engine.running import RunningEngine, engine_trio
from tests.processes import PLAIN

pytestmark = pytest.mark.process

UPLOAD_LIMIT = 200_000


@pytest.fixture(scope="module")
def strict_trio(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    """Below a prefix, with limits, for models of any kind, and with clients that the engine knows."""
    limits = {
        "URL_PREFIX": "/a/b",
        "DRUM_MAX_UPLOAD_SIZE": str(UPLOAD_LIMIT),
        "NIM_DIRECT_ACCESS_REQUEST_TIMEOUT": "0.5",
        "DRUM_ENGINE_FORWARD_AUTHORIZATION": "1",
        "DRUM_ENGINE_HOST": "localhost",
    }
    folder = tmp_path_factory.mktemp("strict")
    words = ("--target-type", "unstructured")
    with engine_trio(folder, engine.port, *words, kind="vllm", environment=limits) as trio:
        yield trio


@pytest.mark.parametrize("path", ["/a/b/nim/x%20y", "/%61%2fb/directAccess/x%20y"])
def test_direct_access_lies_below_the_prefix(strict_trio: Trio, path: str) -> None:
    for server in strict_trio.values():
        answer = exchange(server, request_bytes(server, f"GET {path} HTTP/1.1", "Authorization: Bearer x"))
        document = json.loads(body_of(answer))
        assert document["target"] == "/x%20y"
        assert ["Authorization", "Bearer x"] in document["headers"]


@pytest.mark.parametrize("path", ["/nim/silent", "/nim/silent?%2e"])
def test_a_silent_engine_is_a_gateway_timeout(strict_trio: Trio, path: str) -> None:
    answer = the_one(ask_all(strict_trio, "POST", path, content=b"abc"))
    assert (answer.status, b"NIM_DIRECT_ACCESS_REQUEST_TIMEOUT" in answer.body) == (504, True)


def test_an_engine_that_falls_silent_within_its_answer_breaks_it_off(strict_trio: Trio) -> None:
    for server in strict_trio.values():
        assert read_until_broken(server, "/nim/stalled") == (200, b"first")


@pytest.mark.parametrize("more", [0, 1, 1_000_000])
def test_a_body_over_the_limit_is_too_large(strict_trio: Trio, more: int) -> None:
    answer = the_one(ask_all(strict_trio, "PUT", "/nim/x", content=b"x" * (UPLOAD_LIMIT + more)))
    assert answer.status == (413 if more else 200)


@pytest.mark.parametrize("more", [0, 1, 1_000_000])
def test_a_chunked_body_over_the_limit_is_too_large(strict_trio: Trio, more: int) -> None:
    size = UPLOAD_LIMIT + more
    for server in strict_trio.values():
        pieces = [b"x" * min(50_000, size - start) for start in range(0, size, 50_000)]
        head = request_bytes(server, "PUT /a/b/nim/x HTTP/1.1", "Transfer-Encoding: chunked")
        answer = exchange(server, head, *chunked(*pieces))
        assert status_of(answer) == (413 if more else 200)


@pytest.mark.parametrize("length", ["-1", "x", "1,1"])
def test_a_length_that_is_none_is_a_bad_request(strict_trio: Trio, length: str) -> None:
    for server in strict_trio.values():
        answer = exchange(server, request_bytes(server, "POST /a/b/nim/x HTTP/1.1", f"Content-Length: {length}"))
        assert status_of(answer) == 400


def test_direct_access_takes_no_prediction_thread(engine: RunningEngine, tmp_path: Path) -> None:
    """Calls that wait for the engine leave the only thread, and its empty queue, to predictions."""
    environment = {"DRUM_EXECUTOR_WORKERS": "1", "DRUM_EXECUTOR_QUEUE_DEPTH": "0"}
    with engine_trio(tmp_path, engine.port, environment=environment) as trio, ExitStack() as waiting:
        server = trio["fastapi"]
        for _ in range(8):
            client = waiting.enter_context(httpx.Client(base_url=server.url, timeout=60, **PLAIN))
            response = waiting.enter_context(client.stream("GET", "/nim/stalled/here"))
            assert response.status_code == 200
        assert server.client.post("/predict/", content="promptText\nhi\n").status_code == 200
        assert server.client.get("/stats/").json()["executor_pending"] == 0
