"""gunicorn workers serve requests and probes while other clients are silent or slow."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.api.connections import TIMEOUT, body_of, receive, status_of
from tests.processes import PLAIN, RunningServer

pytestmark = pytest.mark.process

MODEL = """
import os
import signal
import threading
import time
from pathlib import Path

FOLDER = Path(__file__).parents[1]


def load_model(code_dir):
    return "model"


def score_unstructured(model, data, query, **kwargs):
    if query.get("action") == "thread":
        return threading.current_thread().name
    if query.get("action") == "alarm":
        signal.signal(signal.SIGALRM, lambda number, frame: None)
        return "set"
    if query.get("action") == "pid":
        return str(os.getpid())
    if query.get("action") == "hold":
        (FOLDER / "started").touch()
        while (FOLDER / "hold").exists():
            time.sleep(0.01)
    return data
"""
ROUTE = "/predictUnstructured/"
HEAD = b"POST /predictUnstructured/ HTTP/1.1\r\nHost: x\r\n"
SILENT_CLIENTS = 5
WORKER_CLASSES = ["sync", "gthread", "gevent"]
WHOLE = HEAD + b"Content-Length: 10\r\n\r\nten bytes."
STARTS = {
    "silent": b"",
    "request line": b"POST /pre",
    "headers": HEAD + b"X-",
    "body": HEAD + b"Content-Length: 10\r\n\r\nten ",
    "chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nten",
    "expect": HEAD + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n",
}
RESTS = {
    "silent": WHOLE,
    "request line": WHOLE.removeprefix(b"POST /pre"),
    "headers": b"A: b\r\n" + WHOLE.removeprefix(HEAD),
    "body": b"bytes.",
    "chunk": b" \r\n6\r\nbytes.\r\n0\r\n\r\n",
    "expect": b"ten bytes.",
}
"""What completes each start."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "custom.py").write_text(MODEL)
    return tmp_path / "model"


Start = Callable[..., RunningServer]


@pytest.fixture
def start(tmp_path: Path, model: Path) -> Iterator[Start]:
    """Start a gunicorn server; parameters by name without ``DRUM_``."""
    with ExitStack() as stack:

        def start(worker_class: str = "sync", **parameters: object) -> RunningServer:
            variables = {f"DRUM_{name}": str(value) for name, value in parameters.items()}
            environment = {"DRUM_SERVER_TYPE": "gunicorn", "DRUM_GUNICORN_WORKER_CLASS": worker_class, **variables}
            environment["CUSTOM_MODEL_WORKERS"] = environment.pop("DRUM_WORKERS", "1")
            arguments = ("--code-dir", model, "--target-type", "unstructured")
            return stack.enter_context(RunningServer(*arguments, log=tmp_path / "log", environment=environment))

        yield start


@contextmanager
def clients(server: RunningServer, *starts: bytes) -> Iterator[list[socket.socket]]:
    """Open a connection for each start, send it, and hold the connection."""
    with ExitStack() as stack:
        connections = []
        for begin in starts:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), TIMEOUT))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(begin)
            connections.append(connection)
        yield connections


def predict(server: RunningServer, action: str = "") -> str:
    """Return the response to a prediction on a connection of its own."""
    response = httpx.post(f"{server.url}{ROUTE}", params={"action": action}, content=b"x", timeout=20, **PLAIN)
    assert response.status_code == 200, response.text
    return response.text


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_silent_connections_block_no_request(start: Start, worker_class: str) -> None:
    server = start(worker_class)
    with clients(server, *[b""] * SILENT_CLIENTS):
        assert server.status("/livez") == 200
        assert predict(server) == "x"
        assert server.status("/readyz") == 200


@pytest.mark.parametrize("kind", STARTS)
def test_slow_requests_block_no_sync_worker_and_are_served(start: Start, kind: str) -> None:
    server = start()
    with clients(server, *[STARTS[kind]] * SILENT_CLIENTS) as connections:
        assert (server.status("/livez"), predict(server)) == (200, "x")
        if kind == "expect":
            assert {connection.recv(100) for connection in connections} == {b"HTTP/1.1 100 Continue\r\n\r\n"}
        for connection in connections:
            connection.sendall(RESTS[kind])
        responses = [receive(connection) for connection in connections]
    assert {(status_of(response), body_of(response)) for response in responses} == {(200, b"ten bytes.")}


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_slow_headers_get_408(start: Start, worker_class: str) -> None:
    server = start(worker_class, UPLOAD_TIMEOUT=1, GUNICORN_KEEPALIVE=10)
    with clients(server, STARTS["headers"]) as (connection,):
        response = receive(connection)
        assert (status_of(response), b"x-drum-version: " in response) == (408, True)
    with clients(server, b"") as (connection,):
        assert receive(connection) == b""


@pytest.mark.parametrize("begin", [STARTS["body"], STARTS["chunk"]], ids=["length", "chunked"])
@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_slow_body_gets_408(start: Start, worker_class: str, begin: bytes) -> None:
    server = start(worker_class, UPLOAD_TIMEOUT=1)
    with clients(server, begin) as (connection,):
        response = receive(connection)
    assert (status_of(response), b"DRUM_UPLOAD_TIMEOUT" in body_of(response)) == (408, True)


def test_sync_worker_runs_predictions_in_its_main_thread(start: Start) -> None:
    server = start()
    assert (predict(server, "thread"), predict(server, "alarm")) == ("MainThread", "set")


def test_sync_worker_serves_body_in_parts(start: Start) -> None:
    server = start()
    body = b"0123456789" * 50_000
    head = HEAD + b"Content-Length: %d\r\n\r\n" % len(body)
    with clients(server, head[:20]) as (connection,):
        for part in (head[20:], body[:70_000], body[70_000:]):
            connection.sendall(part)
            time.sleep(0.1)  # so that the parts arrive apart
        assert body_of(receive(connection)) == body


def test_client_that_sends_byte_by_byte_blocks_no_sync_worker(start: Start) -> None:
    server = start()
    served = threading.Event()

    def send_slowly(connection: socket.socket) -> None:
        while not served.wait(0.01):
            connection.sendall(b"a")

    with clients(server, HEAD + b"X-Slow: ") as (connection,), ThreadPoolExecutor(1) as thread:
        sender = thread.submit(send_slowly, connection)
        try:
            assert (server.status("/livez"), predict(server)) == (200, "x")
        finally:
            served.set()
            sender.result()


def test_expected_continue_is_sent_once(start: Start) -> None:
    server = start()
    with clients(server, HEAD + b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\n") as (connection,):
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"late")
        response = receive(connection)
        assert (status_of(response), body_of(response)) == (200, b"late")


def test_clients_that_never_close_block_no_sync_worker(start: Start) -> None:
    """gunicorn itself waits two seconds for each of them, longer than the last one waits for its response."""
    server = start()
    with clients(server, *[HEAD + b"Content-Length: 1\r\n\r\nx"] * int(TIMEOUT)) as connections:
        assert {status_of(receive(connection)) for connection in connections} == {200}


def test_idle_worker_serves_while_another_is_busy(start: Start, tmp_path: Path) -> None:
    server = start(WORKERS=2)
    (tmp_path / "hold").touch()
    with ThreadPoolExecutor(1) as thread, clients(server, *[b""] * SILENT_CLIENTS):
        held = thread.submit(predict, server, "hold")
        server.wait_until((tmp_path / "started").exists, "a prediction")
        assert {predict(server) for _ in range(10)} == {"x"}
        (tmp_path / "hold").unlink()
        assert held.result() == "x"


def test_worker_is_replaced_while_connections_are_silent(start: Start) -> None:
    server = start(GUNICORN_MAX_REQUESTS=3)
    with clients(server, *[b""] * SILENT_CLIENTS):
        assert len({predict(server, "pid") for _ in range(12)}) > 1


def test_request_in_part_outlives_the_replacement_of_its_worker(start: Start) -> None:
    server = start(GUNICORN_MAX_REQUESTS=3)
    with clients(server, STARTS["body"]) as (connection,):
        for _ in range(6):
            predict(server)
        connection.sendall(RESTS["body"])
        assert body_of(receive(connection)) == b"ten bytes."


def test_server_stops_while_connections_are_silent_and_serves_slow_requests(start: Start) -> None:
    server = start()
    with clients(server, *[b""] * SILENT_CLIENTS, STARTS["body"]) as connections:
        assert server.status("/livez") == 200
        server.send_signal(signal.SIGTERM)
        server.wait_until(lambda: server.status("/livez") is None, "closed listener")
        connections[-1].sendall(RESTS["body"])
        assert body_of(receive(connections[-1])) == b"ten bytes."
        assert server.wait() == os.EX_OK
