"""Common clients: curl, requests, and connections with many requests."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.api.all_servers import Servers
from tests.api.connections import body_of, status_of
from tests.api.responses import Response, assert_same_response
from tests.cases import each_case
from tests.processes import RunningServer

pytestmark = pytest.mark.process

ROWS = b"a,b\n1,x\n2,y\n"
LARGE = b"a,b\n" + b"12345678,abcdefgh\n" * 80_000
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture(scope="module")
def rows_response(echo_servers: Servers) -> Response:
    return assert_same_response(echo_servers, "POST", "/predict/", content=ROWS)


@pytest.fixture(scope="module")
def large_response(echo_servers: Servers) -> Response:
    return assert_same_response(echo_servers, "POST", "/predict/", content=LARGE)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def curl(server: RunningServer, path: str, *words: str, body: bytes = b"") -> tuple[int, bytes]:
    """Return the status and body that curl receives."""
    command = [
        "curl",
        "--silent",
        "--show-error",
        "--max-time",
        "60",
        *words,
        "-w",
        "\n%{http_code}",
        server.url + path,
    ]
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    output = subprocess.run(command, input=body, check=True, capture_output=True, env=environment).stdout
    response, _, status = output.rpartition(b"\n")
    return int(status), response


@needs_curl
@each_case(
    "words",
    [
        ("--data-binary", "@-"),
        ("-H", "Transfer-Encoding: chunked", "--data-binary", "@-"),
        ("-H", "Expect: 100-continue", "--data-binary", "@-"),
        ("-F", "X=@-;filename=rows.csv"),
        ("-F", "X=<-"),
        ("-X", "POST", "-T", "-"),
        ("--http1.0", "--data-binary", "@-"),
    ],
    ids=" ".join,
)
def test_curl_gets_the_same_predictions_by_every_way_of_sending(
    server: RunningServer, rows_response: Response, large_response: Response, words: tuple[str, ...]
) -> None:
    assert curl(server, "/predict/", *words, body=ROWS) == (200, rows_response.body)
    assert curl(server, "/predict/", *words, body=LARGE) == (200, large_response.body)


@needs_curl
def test_curl_head_returns_headers_only(server: RunningServer) -> None:
    status, head = curl(server, "/ping", "--head")
    assert status == 200
    assert b"content-length: 16" in head.lower()
    assert not head.partition(b"\r\n\r\n")[2].strip()


def test_requests_sends_a_form(server: RunningServer, session: requests.Session, rows_response: Response) -> None:
    response = session.post(f"{server.url}/predict/", files={"X": ("rows.csv", ROWS, "text/csv")}, timeout=60)
    assert (response.status_code, response.content) == (200, rows_response.body)


def test_requests_sends_chunks(server: RunningServer, session: requests.Session, large_response: Response) -> None:
    pieces = (LARGE[begin : begin + 100_000] for begin in range(0, len(LARGE), 100_000))
    response = session.post(f"{server.url}/predict/", data=pieces, timeout=60)
    assert (response.status_code, response.content) == (200, large_response.body)


def test_requests_sends_a_file(
    server: RunningServer, session: requests.Session, tmp_path: Path, large_response: Response
) -> None:
    (tmp_path / "rows.csv").write_bytes(LARGE)
    with (tmp_path / "rows.csv").open("rb") as file:
        response = session.post(f"{server.url}/predict/", data=file, timeout=60)
    assert (response.status_code, response.content) == (200, large_response.body)


def test_a_session_can_continue_after_any_response(
    server: RunningServer, session: requests.Session, rows_response: Response
) -> None:
    """The next response belongs to the next request."""
    for _ in range(3):
        assert session.get(f"{server.url}/nothing", timeout=60).status_code == 404
        assert session.post(f"{server.url}/predict/", data=b"", timeout=60).status_code == 422
        assert session.put(f"{server.url}/predict/", data=LARGE, timeout=60).status_code == 405
        assert session.head(f"{server.url}/ping", timeout=60).content == b""
        assert session.post(f"{server.url}/predict/", data=ROWS, timeout=60).content == rows_response.body


def test_pipelined_requests_are_processed_in_order(echo_servers: Servers, rows_response: Response) -> None:
    """Only FastAPI serves a pipeline; the WSGI servers close the connection after the first response."""
    post = b"POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(ROWS), ROWS)
    get = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for name, server in echo_servers.items():
        with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
            connection.sendall(post + get + post + last)
            responses = _read_all(connection)
        if name == "fastapi":
            assert [status_of(response) for response in responses] == [200] * 4
            assert [body_of(response) for response in responses] == [rows_response.body, b'{"status":"alive"}'] * 2
        else:
            assert b"connection: close" in responses[0].lower()
            assert body_of(responses[0]) == rows_response.body


def _read_all(connection: socket.socket) -> list[bytes]:
    """Read responses until the server closes."""
    came = b""
    try:
        while piece := connection.recv(65536):
            came += piece
    except ConnectionResetError:
        pass  # a server that closes with requests unread
    return [b"HTTP/1.1 " + response for response in came.split(b"HTTP/1.1 ")[1:]]
