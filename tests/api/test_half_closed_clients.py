"""Clients that end their sending side after the request get the whole response, on every server."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import psutil
import pytest

from tests.api.all_servers import SERVER_TYPES, Servers, running_servers
from tests.api.connections import TIMEOUT, body_of, status_of
from tests.api.models import write_code
from tests.cases import each_case
from tests.processes import RunningServer

pytestmark = pytest.mark.process

MODEL = """
import time
from pathlib import Path

FOLDER = Path(__file__).parents[1]


def load_model(code_dir):
    return "model"


def record(text):
    with (FOLDER / "recorded").open("a") as file:
        file.write(text + "\\n")


def hold(name):
    record("started " + name)
    while (FOLDER / "hold").exists():
        time.sleep(0.01)


def stream(name):
    try:
        while True:
            yield "chunk "
            time.sleep(0.02)
    finally:
        record("closed " + name)


def slow_stream():
    yield "before "
    time.sleep(1.5)
    yield "after"


def score_unstructured(model, data, query, **kwargs):
    action = query.get("action")
    if action == "hold":
        hold(query["name"])
    if action == "stream":
        return (f"{number} " for number in range(50))
    if action == "slow":
        return slow_stream()
    if action == "endless":
        return stream(query["name"])
    return data


def chat(request, model, **kwargs):
    for word in ("one", "two"):
        yield {"choices": [{"index": 0, "delta": {"content": word}}]}
"""
ROUTE = "/predictUnstructured/"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("half")


@pytest.fixture(scope="module")
def all_servers(folder: Path) -> Iterator[Servers]:
    environment = {"DRUM_EXECUTOR_WORKERS": "1", "DRUM_FASTAPI_KEEPALIVE": "5"}
    model = write_code(folder / "model", MODEL)
    with running_servers(
        folder, "--code-dir", model, "--target-type", "unstructured", environment=environment
    ) as servers:
        yield servers


@pytest.fixture(params=SERVER_TYPES)
def server(request: pytest.FixtureRequest, all_servers: Servers) -> RunningServer:
    return all_servers[request.param]


@pytest.fixture
def fastapi(all_servers: Servers) -> RunningServer:
    return all_servers["fastapi"]


def post(path: str, body: bytes, *lines: str, version: str = "1.1") -> bytes:
    head = [f"POST {path} HTTP/{version}", "Host: x", *(lines or [f"Content-Length: {len(body)}"])]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def half_close(server: RunningServer, request: bytes) -> bytes:
    """Send a request, end the sending side, and return all bytes up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65_536):
        received += chunk
    return received


def recorded(folder: Path, line: str) -> bool:
    path = folder / "recorded"
    return path.exists() and line in path.read_text().splitlines()


CHUNKED = "Transfer-Encoding: chunked"
FORM = b"--b\r\nContent-Disposition: form-data; name=X\r\n\r\nbody\r\n--b--\r\n"


@each_case(
    "request_bytes",
    [
        post(ROUTE, b"body"),
        post(ROUTE, b"body", version="1.0"),
        post(ROUTE, b"body", "Content-Length: 4", "Connection: close"),
        post(ROUTE, b"4\r\nbody\r\n0\r\n\r\n", CHUNKED),
    ],
    ids=["length", "HTTP/1.0", "close", "chunked"],
)
def test_half_closed_client_gets_prediction(server: RunningServer, request_bytes: bytes) -> None:
    response = half_close(server, request_bytes)
    assert (status_of(response), body_of(response)[-4:]) == (200, b"body")


def test_half_closed_client_gets_response_to_large_body(server: RunningServer) -> None:
    body = b"x" * 3_000_000
    response = half_close(server, post(ROUTE, body))
    assert (status_of(response), body_of(response).count(b"x")) == (200, len(body))


def test_half_closed_client_gets_response_to_form(server: RunningServer) -> None:
    media_type = "Content-Type: multipart/form-data; boundary=b"
    response = half_close(server, post(ROUTE, FORM, media_type, f"Content-Length: {len(FORM)}"))
    assert (status_of(response), body_of(response)) == (200, FORM)


@each_case("path", ["/livez", "/ping/", "/info/", "/stats/"])
def test_half_closed_client_gets_status_routes(server: RunningServer, path: str) -> None:
    assert status_of(half_close(server, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())) == 200


def test_half_closed_client_gets_whole_stream(server: RunningServer) -> None:
    response = half_close(server, post(f"{ROUTE}?action=stream", b"x"))
    assert status_of(response) == 200
    assert all(b"%d " % number in response for number in range(50))


def test_half_closed_client_gets_error_response(server: RunningServer) -> None:
    response = half_close(server, post("/nothing", b"body"))
    assert (status_of(response), b"message" in body_of(response)) == (404, True)


@each_case(
    "truncated",
    [b"POST", post(ROUTE, b"", "Content-Length: 100"), post(ROUTE, b"5\r\nbo", CHUNKED), post(ROUTE, b"")[:-2]],
    ids=["request line", "body", "chunk", "headers"],
)
def test_half_closed_client_with_truncated_request_gets_400_or_nothing(server: RunningServer, truncated: bytes) -> None:
    response = half_close(server, truncated)
    assert not response or status_of(response) == 400


def test_idle_half_closed_connection_is_closed(server: RunningServer) -> None:
    assert half_close(server, b"") == b""


def test_half_closed_client_gets_all_pipelined_responses(fastapi: RunningServer) -> None:
    requests = [post(ROUTE, b"body %d" % number) for number in range(3)]
    received = half_close(fastapi, b"".join(requests))
    assert re.findall(rb"body \d", received) == [b"body 0", b"body 1", b"body 2"]


@each_case("rest", [post(ROUTE, b"body 3")[:-3], b"POST /pred"], ids=["body", "headers"])
def test_truncated_pipelined_request_costs_no_response_before_it(fastapi: RunningServer, rest: bytes) -> None:
    requests = [post(ROUTE, b"body %d" % number) for number in range(2)]
    received = half_close(fastapi, b"".join(requests) + rest)
    assert re.findall(rb"body \d", received) == [b"body 0", b"body 1"]


def test_half_closed_client_gets_response_of_queued_call(fastapi: RunningServer, folder: Path) -> None:
    """It gets 100 Continue meanwhile: a client that has closed the connection would reset it."""
    (folder / "hold").touch()
    connections = [socket.create_connection(("127.0.0.1", fastapi.port), TIMEOUT) for _ in range(3)]
    for number, connection in enumerate(connections):
        connection.sendall(post(f"{ROUTE}?action=hold&name=h{number}", b"body"))
        connection.shutdown(socket.SHUT_WR)
        fastapi.wait_until(lambda: fastapi.client.get("/stats/").json()["executor_pending"] > 0, "a call")
    assert connections[2].recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
    (folder / "hold").unlink()
    received = [read_all(connection) for connection in connections]
    for connection in connections:
        connection.close()
    assert all(b"HTTP/1.1 200 OK" in response and response.endswith(b"body") for response in received)


def test_closed_connection_ends_stream(server: RunningServer, server_type: str, folder: Path) -> None:
    name = f"stream-{server_type}"
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
        connection.sendall(post(f"{ROUTE}?action=endless&name={name}", b"x"))
        assert connection.recv(20)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while received.count(b"chunk") < 20:
            received += connection.recv(65_536)
        assert not recorded(folder, f"closed {name}")
    server.wait_until(lambda: recorded(folder, f"closed {name}"), "end of the stream", timeout=20)


@pytest.fixture
def server_type(server: RunningServer, all_servers: Servers) -> str:
    return next(name for name, running in all_servers.items() if running is server)


def test_half_closed_client_gets_response_without_keep_alive(folder: Path, tmp_path: Path) -> None:
    environment = {"DRUM_SERVER_TYPE": "fastapi", "DRUM_FASTAPI_KEEPALIVE": "0", "DRUM_LAME_DUCK_SECONDS": "0"}
    arguments = ("--code-dir", folder / "model", "--target-type", "unstructured")
    with RunningServer(*arguments, log=tmp_path / "log", environment=environment) as server:
        assert body_of(half_close(server, post(ROUTE, b"body"))) == b"body"


CHAT_BODY = {"messages": [{"role": "user", "content": "hello"}], "stream": True}


@each_case("stream", [True, False])
def test_half_closed_client_gets_chat(folder: Path, tmp_path: Path, stream: bool) -> None:
    environment = {"DRUM_SERVER_TYPE": "fastapi", "TARGET_NAME": "reply", "DRUM_LAME_DUCK_SECONDS": "0"}
    code = MODEL.replace("def score_unstructured(", "def unused(")
    model = write_code(tmp_path / "model", code)
    arguments = ("--code-dir", model, "--target-type", "textgeneration")
    body = json.dumps({**CHAT_BODY, "stream": stream}).encode()
    media_type = "Content-Type: application/json"
    with RunningServer(*arguments, log=tmp_path / "log", environment=environment) as server:
        response = half_close(server, post("/chat/completions", body, media_type, f"Content-Length: {len(body)}"))
    assert status_of(response) == 200
    assert b"one" in response and b"two" in response and response.rstrip().endswith((b"[DONE]", b"0", b"}"))


def test_half_closed_client_gets_slow_stream(fastapi: RunningServer, folder: Path) -> None:
    """The pause is longer than the time after which the server probes the connection."""
    with socket.create_connection(("127.0.0.1", fastapi.port), TIMEOUT) as connection:
        connection.sendall(post(f"{ROUTE}?action=slow", b"x"))
        connection.shutdown(socket.SHUT_WR)
        response = HTTPResponse(connection)
        response.begin()
        assert (response.status, response.read()) == (200, b"before after")


def test_many_half_closed_clients_leave_no_connection(fastapi: RunningServer) -> None:
    process = psutil.Process(fastapi.process.pid)
    before = len(process.net_connections())
    threads = [threading.Thread(target=half_close, args=(fastapi, post(ROUTE, b"body"))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fastapi.wait_until(lambda: len(process.net_connections()) <= before, "closed connections", timeout=20)
