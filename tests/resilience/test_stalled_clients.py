"""Clients that do not read their response are cut off on every server, and their slot becomes free."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.connections import TIMEOUT
from tests.processes import PLAIN, RunningServer
from tests.resilience.servers_by_kind import KINDS, Start, starting_servers

pytestmark = pytest.mark.process

MODEL = """
import time
from pathlib import Path

THREAD_SAFE = False
MIB = 1024 * 1024
FOLDER = Path(__file__).parents[1]


def load_model(code_dir):
    return "model"


def score_unstructured(model, data, query, **kwargs):
    if query.get("action") == "large":
        return bytes(64 * MIB)
    if query.get("action") == "stream":
        return stream()
    if query.get("action") == "slow":
        return (b"x" * MIB for _ in range(16))
    return data


def stream():
    chunks = 0
    try:
        while True:
            yield b"x" * 65_536
            chunks += 1
    finally:
        (FOLDER / "closed").write_text(str(chunks))
"""
MIB = 1024 * 1024


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starting_servers(tmp_path, MODEL) as start:
        yield start


def ask(server: RunningServer, action: str) -> socket.socket:
    """Send a request whose response comes on the returned connection, which has a small buffer."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    connection.settimeout(TIMEOUT)
    connection.connect(("127.0.0.1", server.port))
    head = f"POST /predictUnstructured/?action={action} HTTP/1.1\r\nHost: x\r\n"
    connection.sendall(head.encode() + b"Connection: close\r\nContent-Length: 1\r\n\r\nx")
    return connection


def predict(server: RunningServer) -> str:
    response = httpx.post(f"{server.url}/predictUnstructured/", content=b"y", timeout=TIMEOUT, **PLAIN)
    assert response.status_code == 200, response.text
    return response.text


def statistics(server: RunningServer) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{server.url}/stats/", timeout=TIMEOUT, **PLAIN).json()
    return found


def is_cut_off(connection: socket.socket) -> bool:
    """Read what has arrived; return whether the connection then ends by a reset."""
    try:
        while connection.recv(MIB):
            pass
    except ConnectionResetError:
        return True
    return False


def was_logged(server: RunningServer) -> bool:
    return "did not read for 1 s (DRUM_WRITE_TIMEOUT)" in server.log()


@pytest.mark.parametrize("kind", KINDS)
def test_stream_that_is_not_read_is_cut_off_and_its_slot_is_free(start: Start, kind: str, tmp_path: Path) -> None:
    server = start(kind, WRITE_TIMEOUT=1)
    with ask(server, "stream") as connection:
        assert connection.recv(12) in (b"HTTP/1.1 200", b"HTTP/1.0 200")
        server.wait_until((tmp_path / "closed").exists, "end of the stream")
        assert predict(server) == "y"
        assert server.status("/livez") == 200
        assert int((tmp_path / "closed").read_text()) * 65_536 < 16 * MIB  # what waits for the client is bounded
        assert is_cut_off(connection)
    assert was_logged(server)


def test_clients_that_do_not_read_leave_the_slots_to_others(start: Start, tmp_path: Path) -> None:
    (tmp_path / "model" / "custom.py").write_text(MODEL.replace("THREAD_SAFE = False", ""))
    server = start("fastapi", WRITE_TIMEOUT=0, EXECUTOR_WORKERS=2)
    connections = [ask(server, "stream") for _ in range(8)]
    try:
        server.wait_until(lambda: statistics(server)["executor_paused"] == 8, "stalled clients")
        assert predict(server) == "y"
    finally:
        for connection in connections:
            connection.close()
    server.wait_until(lambda: statistics(server)["executor_pending"] == 0, "end of the streams")


@pytest.mark.parametrize("kind", KINDS)
def test_large_response_that_is_not_read_is_cut_off(start: Start, kind: str) -> None:
    server = start(kind, WRITE_TIMEOUT=1)
    with ask(server, "large") as connection:
        server.wait_until(lambda: was_logged(server), "a stalled client")
        assert predict(server) == "y"
        assert is_cut_off(connection)


@pytest.mark.parametrize("kind", KINDS)
def test_client_that_reads_slowly_gets_the_whole_response(start: Start, kind: str) -> None:
    server = start(kind, WRITE_TIMEOUT=3)
    received = bytearray()
    with ask(server, "slow") as connection:
        while piece := connection.recv(MIB // 10):
            received += piece
            time.sleep(0.02)  # a client that needs longer than the timeout altogether
    assert received.count(b"x") >= 16 * MIB
    assert "DRUM_WRITE_TIMEOUT" not in server.log()


@pytest.mark.parametrize("kind", ["fastapi", "flask", "sync"])
def test_without_a_limit_a_stalled_client_goes_on_where_it_stopped(start: Start, kind: str) -> None:
    server = start(kind, WRITE_TIMEOUT=0)
    with ask(server, "slow") as connection:
        received = bytearray()
        while piece := connection.recv(MIB):
            received += piece
    assert received.count(b"x") >= 16 * MIB
