"""Large, slow, broken and cancelled transfers between a client and the engine: the server buffers nothing."""

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
CHUNK = b"x" * MIB
UPLOAD_LIMIT = 200_000


class Peak:
    """The growth of the peak memory of a server's processes, in bytes, as the kernel records it."""

    def __init__(self, server: RunningServer) -> None:
        main = psutil.Process(server.process.pid)
        self._processes = [process.pid for process in (main, *main.children(recursive=True))]
        for process in self._processes:
            Path(f"/proc/{process}/clear_refs").write_text("5")
        self._before = self._peak_bytes()

    @property
    def growth(self) -> int:
        return self._peak_bytes() - self._before

    def _peak_bytes(self) -> int:
        return sum(_peak_of(process) for process in self._processes)


def _peak_of(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_request_body_is_streamed(server: RunningServer, framing: str) -> None:
    chunks = [CHUNK] * (LARGE // MIB)
    headers = {"Content-Length": str(LARGE)} if framing == "length" else {}
    server.client.post("/nim/x", content=b"x")
    peak = Peak(server)
    response = server.client.post("/nim/x", content=iter(chunks), headers=headers).json()
    assert (response["size"], response["digest"]) == (LARGE, hashlib.sha256(b"".join(chunks)).hexdigest())
    assert peak.growth < 16 * MIB


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_response_body_is_streamed(server: RunningServer, framing: str) -> None:
    peak = Peak(server)
    size = 0
    with server.client.stream("GET", f"/nim/big/{LARGE}?{framing}") as response:
        assert response.headers.get("content-length") == (str(LARGE) if framing == "length" else None)
        for chunk in response.iter_raw():
            size += len(chunk)
            assert chunk.count(b"x") == len(chunk)
    assert size == LARGE
    assert peak.growth < 16 * MIB


def test_slow_client_applies_backpressure_to_the_engine(server: RunningServer) -> None:
    """The server buffers nothing that the client has not read."""
    peak = Peak(server)
    with server.client.stream("GET", f"/nim/big/{LARGE}") as response:
        next(response.iter_raw())
        threading.Event().wait(0.3)
        assert peak.growth < 16 * MIB


def test_events_are_forwarded_one_by_one(server: RunningServer, engine: RunningEngine) -> None:
    """The engine sends each event only after the client has received the one before."""
    with server.client.stream("GET", "/nim/held/5") as response:
        chunks = response.iter_raw()
        received = []
        for _ in range(5):
            engine.control("go")
            received.append(next(chunks))
        assert received == [b"data: %d\n\n" % number for number in range(5)]
        assert list(chunks) == []


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_aborted_engine_response_aborts_the_client_response(server: RunningServer, framing: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError), server.client.stream("GET", f"/nim/broken?{framing}") as response:
        assert response.status_code == 200
        response.read()
    assert server.client.get("/nim/x").status_code == 200


def test_client_disconnect_during_response_closes_the_engine_connection(
    server: RunningServer, engine: RunningEngine
) -> None:
    with httpx.Client(base_url=server.url, timeout=60, **PLAIN) as client:
        with client.stream("GET", f"/nim/big/{10 * LARGE}") as response:
            next(response.iter_raw())
    reset_after_first_byte(server, f"/nim/big/{10 * LARGE}", b"")
    assert server.client.get("/nim/x").status_code == 200


def test_client_disconnect_while_waiting_cancels_the_engine_call(all_servers: Servers, engine: RunningEngine) -> None:
    """Only on FastAPI: a WSGI server does not see a disconnect while it waits."""
    server = all_servers["fastapi"]
    for path, body in (("/silent/get", b""), ("/silent/post", b"abc"), ("/stalled/x", b"")):
        with httpx.Client(base_url=server.url, **PLAIN) as client, pytest.raises(httpx.ReadTimeout):
            waiter = threading.Thread(target=engine.wait_event, args=[f"received {path}"])
            waiter.start()
            client.request("POST" if body else "GET", "/nim" + path, content=body, timeout=0.5)
        waiter.join()
        engine.wait_event(f"disconnected {path}")


def test_client_disconnect_during_upload_aborts_the_engine_request(all_servers: Servers, engine: RunningEngine) -> None:
    for name, server in all_servers.items():
        head = request_bytes(server, f"POST /nim/upload-{name} HTTP/1.1", "Content-Length: 1000")
        response = exchange(server, head, b"only this", half_close=True)
        assert not response or status_of(response) == 400
        engine.wait_event(f"truncated /upload-{name}")
