"""Large, slow, broken and abandoned transfers between a client and the engine: nothing is gathered on the way."""

import hashlib
import threading
from pathlib import Path

import httpx
import psutil
import pytest

from tests.api.aborted_responses import reset_after_first_byte
from tests.api.all_servers import Servers
from tests.api.connections import exchange, request_bytes, status_of
from tests.engine.running import RunningEngine
from tests.processes import PLAIN, RunningServer
from tests.resilience.resource_usage import MIB

pytestmark = pytest.mark.process

LARGE = 100 * MIB
PIECE = b"x" * MIB
UPLOAD_LIMIT = 200_000


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


def test_a_client_that_leaves_in_an_answer_hangs_up_on_the_engine(server: RunningServer, engine: RunningEngine) -> None:
    with httpx.Client(base_url=server.url, timeout=60, **PLAIN) as client:
        with client.stream("GET", f"/nim/big/{10 * LARGE}") as response:
            next(response.iter_raw())
    reset_after_first_byte(server, f"/nim/big/{10 * LARGE}", b"")
    assert server.client.get("/nim/x").status_code == 200


def test_a_client_that_leaves_while_waiting_ends_the_call(all_servers: Servers, engine: RunningEngine) -> None:
    """A WSGI server cannot notice."""
    server = all_servers["fastapi"]
    for path, body in (("/silent/get", b""), ("/silent/post", b"abc"), ("/stalled/x", b"")):
        with httpx.Client(base_url=server.url, **PLAIN) as client, pytest.raises(httpx.ReadTimeout):
            asked = threading.Thread(target=engine.wait_event, args=[f"asked {path}"])
            asked.start()
            client.request("POST" if body else "GET", "/nim" + path, content=body, timeout=0.5)
        asked.join()
        engine.wait_event(f"left {path}")


def test_a_client_that_leaves_in_its_body_cuts_the_engines_off(all_servers: Servers, engine: RunningEngine) -> None:
    for name, server in all_servers.items():
        head = request_bytes(server, f"POST /nim/upload-{name} HTTP/1.1", "Content-Length: 1000")
        answer = exchange(server, head, b"only this", half_close=True)
        assert not answer or status_of(answer) == 400
        engine.wait_event(f"cut off /upload-{name}")
