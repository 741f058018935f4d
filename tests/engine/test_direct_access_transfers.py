"""Large, slow, broken and abandoned transfers between a client and the engine: nothing is gathered on the way."""

import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.api.aborted import read_until_broken, reset_after_first_piece
from tests.api.answers import ask_all, the_one
from tests.api.connections import body_of, exchange, request_bytes, status_of
from tests.api.models import ECHO, write_code
from tests.api.test_transfers import chunked
from tests.api.trios import Trio, running_trio
from tests.engine.running import RunningEngine, engine_trio
from tests.processes import PLAIN, RunningServer
from tests.resilience.footprint import MIB

pytestmark = pytest.mark.process

LARGE = 100 * MIB
PIECE = b"x" * MIB
UPLOAD_LIMIT = 200_000


@pytest.fixture(scope="module")
def strict_trio(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    """Below a prefix, with limits, for models of any kind, and with clients that the engine knows."""
    limits = {
        "URL_PREFIX": "/a/b",
        "DRUM_FASTAPI_MAX_UPLOAD_SIZE": str(UPLOAD_LIMIT),
        "NIM_DIRECT_ACCESS_REQUEST_TIMEOUT": "0.5",
        "DRUM_ENGINE_FORWARD_AUTHORIZATION": "1",
        "DRUM_ENGINE_HOST": "localhost",
    }
    folder = tmp_path_factory.mktemp("strict")
    words = ("--target-type", "unstructured")
    with engine_trio(folder, engine.port, *words, kind="vllm", environment=limits) as trio:
        yield trio


class Peak:
    """Bytes by which the memory of a server's processes grows at most; the kernel notes it."""

    def __init__(self, server: RunningServer) -> None:
        main = psutil.Process(server.process.pid)
        self._processes = [process.pid for process in (main, *main.children(recursive=True))]
        for process in self._processes:
            Path(f"/proc/{process}/clear_refs").write_text("5")
        self._before = self._most()

    @property
    def growth(self) -> int:
        return self._most() - self._before

    def _most(self) -> int:
        return sum(_peak_of(process) for process in self._processes)


def _peak_of(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_body_passes_without_being_gathered(server: RunningServer, framing: str) -> None:
    pieces = [PIECE] * (LARGE // MIB)
    headers = {"Content-Length": str(LARGE)} if framing == "length" else {}
    server.client.post("/nim/x", content=b"x")
    peak = Peak(server)
    answer = server.client.post("/nim/x", content=iter(pieces), headers=headers).json()
    assert (answer["size"], answer["digest"]) == (LARGE, hashlib.sha256(b"".join(pieces)).hexdigest())
    assert peak.growth < 16 * MIB


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_answer_passes_without_being_gathered(server: RunningServer, framing: str) -> None:
    peak = Peak(server)
    size = 0
    with server.client.stream("GET", f"/nim/big/{LARGE}?{framing}") as response:
        assert response.headers.get("content-length") == (str(LARGE) if framing == "length" else None)
        for piece in response.iter_raw():
            size += len(piece)
            assert piece.count(b"x") == len(piece)
    assert size == LARGE
    assert peak.growth < 16 * MIB


def test_a_slow_client_slows_the_engine_down(server: RunningServer) -> None:
    """What it does not take stays with the engine."""
    peak = Peak(server)
    with server.client.stream("GET", f"/nim/big/{LARGE}") as response:
        next(response.iter_raw())
        threading.Event().wait(0.3)
        assert peak.growth < 16 * MIB


def test_events_pass_one_by_one(server: RunningServer, engine: RunningEngine) -> None:
    """Each is sent by the engine only after the one before has come through."""
    with server.client.stream("GET", "/nim/held/5") as response:
        pieces = response.iter_raw()
        came = []
        for _ in range(5):
            engine.control("go")
            came.append(next(pieces))
        assert came == [b"data: %d\n\n" % number for number in range(5)]
        assert list(pieces) == []


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_answer_that_breaks_off_has_no_proper_end(server: RunningServer, framing: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError), server.client.stream("GET", f"/nim/broken?{framing}") as response:
        assert response.status_code == 200
        response.read()
    assert server.client.get("/nim/x").status_code == 200


def test_an_engine_killed_within_its_answer(tmp_path: Path) -> None:
    with RunningEngine(tmp_path / "log") as other, engine_trio(tmp_path, other.port) as trio:
        for one in trio.values():
            with pytest.raises(httpx.RemoteProtocolError), one.client.stream("GET", "/nim/killed") as response:
                pieces = response.iter_raw()
                assert next(pieces) == b"first"
                other.control("go")
                next(pieces)
            other.process.wait(20)
            answer = one.client.get("/nim/x")
            assert (answer.status_code, "cannot be reached" in answer.text) == (502, True)
            other.restart()


def test_a_client_that_leaves_in_an_answer_hangs_up_on_the_engine(server: RunningServer, engine: RunningEngine) -> None:
    with httpx.Client(base_url=server.url, timeout=60, **PLAIN) as client:
        with client.stream("GET", f"/nim/big/{10 * LARGE}") as response:
            next(response.iter_raw())
    reset_after_first_piece(server, f"/nim/big/{10 * LARGE}", b"")
    assert server.client.get("/nim/x").status_code == 200


def test_a_client_that_leaves_while_waiting_ends_the_call(trio: Trio, engine: RunningEngine) -> None:
    """A WSGI server cannot notice."""
    server = trio["fastapi"]
    for path, body in (("/silent/get", b""), ("/silent/post", b"abc"), ("/stalled/x", b"")):
        with httpx.Client(base_url=server.url, **PLAIN) as client, pytest.raises(httpx.ReadTimeout):
            asked = threading.Thread(target=engine.wait_event, args=[f"asked {path}"])
            asked.start()
            client.request("POST" if body else "GET", "/nim" + path, content=body, timeout=0.5)
        asked.join()
        engine.wait_event(f"left {path}")


def test_a_client_that_leaves_in_its_body_cuts_the_engines_off(trio: Trio, engine: RunningEngine) -> None:
    for name, server in trio.items():
        head = request_bytes(server, f"POST /nim/upload-{name} HTTP/1.1", "Content-Length: 1000")
        answer = exchange(server, head, b"only this", half_close=True)
        assert not answer or status_of(answer) == 400
        engine.wait_event(f"cut off /upload-{name}")


# Limits


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
def test_a_length_that_is_none_is_a_bad_request(trio: Trio, length: str) -> None:
    for server in trio.values():
        answer = exchange(server, request_bytes(server, "POST /nim/x HTTP/1.1", f"Content-Length: {length}"))
        assert status_of(answer) == 400


def test_a_model_without_an_engine_has_no_direct_access(tmp_path: Path) -> None:
    model = write_code(tmp_path / "model", ECHO)
    with running_trio(tmp_path, "--code-dir", model, "--target-type", "regression") as trio:
        for method in ("GET", "HEAD", "POST", "PUT"):
            for path in ("/nim", "/nim/x", "/directAccess/", "/directAccess/../x", "/nim//x"):
                assert the_one(ask_all(trio, method, path)).status == 404
        answer = the_one(ask_all(trio, "DELETE", "/nim/x"))
        assert (answer.status, dict(answer.headers)["allow"]) == (405, "GET, HEAD, POST, PUT")
