"""Hooks learn that no client waits for their result, on every server."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.connections import TIMEOUT, body_of, receive, status_of
from tests.processes import PLAIN, RunningServer
from tests.resilience.servers_by_kind import KINDS, Start, starting_servers

pytestmark = pytest.mark.process

MODEL = """
import contextvars
import threading
import time
from pathlib import Path

from datarobot_drum import cancelled

FOLDER = Path(__file__).parents[1]


def load_model(code_dir):
    return "model"


def score_unstructured(model, data, query, **kwargs):
    action = query["action"]
    if action == "ask":
        return str(cancelled())
    if action == "thread":
        thread = threading.Thread(target=contextvars.copy_context().run, args=(wait,))
        thread.start()
        thread.join()
    elif action == "stream":
        return stream()
    else:
        wait()
    return "complete"


def wait():
    (FOLDER / "started").touch()
    while not (FOLDER / "go-on").exists():
        if cancelled():
            (FOLDER / "cancelled").touch()
            return
        time.sleep(0.01)


def stream():
    yield b"first"
    wait()
    yield b"last"
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starting_servers(tmp_path, MODEL) as start:
        try:
            yield start
        finally:
            (tmp_path / "go-on").touch()  # the servers end once the model does


def ask(server: RunningServer, action: str) -> socket.socket:
    """Send a request whose response comes on the returned connection."""
    connection = socket.create_connection(("127.0.0.1", server.port), TIMEOUT)
    head = f"POST /predictUnstructured/?action={action} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
    connection.sendall(head.encode())
    return connection


def predict(server: RunningServer) -> str:
    url = f"{server.url}/predictUnstructured/"
    return httpx.post(url, params={"action": "ask"}, content=b"x", timeout=TIMEOUT, **PLAIN).text


@pytest.mark.parametrize("action", ["wait", "thread", "stream"])
@pytest.mark.parametrize("kind", KINDS)
def test_hook_is_cancelled_when_its_client_disconnects(start: Start, kind: str, action: str, tmp_path: Path) -> None:
    server = start(kind)
    connection = ask(server, action)
    server.wait_until((tmp_path / "started").exists, "a prediction")
    connection.close()
    server.wait_until((tmp_path / "cancelled").exists, "a cancelled prediction")
    assert predict(server) == "False"


@pytest.mark.parametrize("kind", KINDS)
def test_client_that_ended_its_sending_side_gets_the_whole_response(start: Start, kind: str, tmp_path: Path) -> None:
    server = start(kind)
    with ask(server, "wait") as connection:
        server.wait_until((tmp_path / "started").exists, "a prediction")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        (tmp_path / "go-on").touch()
        response = receive(connection)
    assert (status_of(response), body_of(response)) == (200, b"complete")
    assert not (tmp_path / "cancelled").exists()


@pytest.mark.parametrize("kind", ["fastapi", "flask", "gthread"])
def test_hook_is_cancelled_when_its_client_got_a_timeout(start: Start, kind: str, tmp_path: Path) -> None:
    server = start(kind, CLIENT_REQUEST_TIMEOUT=1)
    with ask(server, "wait") as connection:
        assert status_of(receive(connection)) == 504
    server.wait_until((tmp_path / "cancelled").exists, "a cancelled prediction")
    assert predict(server) == "False"


def test_server_stops_while_a_cancelled_hook_ends(start: Start, tmp_path: Path) -> None:
    server = start("fastapi")
    connection = ask(server, "wait")
    server.wait_until((tmp_path / "started").exists, "a prediction")
    connection.close()
    server.process.terminate()
    assert server.wait() == os.EX_OK
    assert (tmp_path / "cancelled").exists()
