"""Hooks learn that no client waits for their result, on every server."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.api.connections import TIMEOUT, body_of, receive, status_of
from tests.processes import PLAIN, RunningServer

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
SERVERS = ["fastapi", "flask", "sync", "gthread", "gevent"]
Start = Callable[..., RunningServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a server by its type, or gunicorn by its worker class; parameters by name without ``DRUM_``."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "custom.py").write_text(MODEL)
    with ExitStack() as stack:
        stack.callback((tmp_path / "go-on").touch)

        def start(kind: str, **parameters: object) -> RunningServer:
            environment = {f"DRUM_{name}": str(value) for name, value in parameters.items()}
            environment |= {"DRUM_LAME_DUCK_SECONDS": "0", "CUSTOM_MODEL_WORKERS": "1"}
            is_gunicorn = kind not in ("fastapi", "flask")
            environment |= {"DRUM_SERVER_TYPE": "gunicorn" if is_gunicorn else kind}
            environment |= {"DRUM_GUNICORN_WORKER_CLASS": kind} if is_gunicorn else {}
            arguments = ("--code-dir", model, "--target-type", "unstructured")
            return stack.enter_context(RunningServer(*arguments, log=tmp_path / "log", environment=environment))

        yield start


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
@pytest.mark.parametrize("kind", SERVERS)
def test_hook_is_cancelled_when_its_client_disconnects(start: Start, kind: str, action: str, tmp_path: Path) -> None:
    server = start(kind)
    connection = ask(server, action)
    server.wait_until((tmp_path / "started").exists, "a prediction")
    connection.close()
    server.wait_until((tmp_path / "cancelled").exists, "a cancelled prediction")
    assert predict(server) == "False"


@pytest.mark.parametrize("kind", SERVERS)
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
