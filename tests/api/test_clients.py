"""What people really send with: curl, requests, and connections that carry many requests."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.api.answers import Answer, ask_all, the_one
from tests.api.connections import body_of, status_of
from tests.api.trios import Trio
from tests.processes import RunningServer

pytestmark = pytest.mark.process

ROWS = b"a,b\n1,x\n2,y\n"
LARGE = b"a,b\n" + b"12345678,abcdefgh\n" * 80_000
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture(scope="module")
def rows_answer(echo_trio: Trio) -> Answer:
    return the_one(ask_all(echo_trio, "POST", "/predict/", content=ROWS))


@pytest.fixture(scope="module")
def large_answer(echo_trio: Trio) -> Answer:
    return the_one(ask_all(echo_trio, "POST", "/predict/", content=LARGE))


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def curl(server: RunningServer, path: str, *words: str, body: bytes = b"") -> tuple[int, bytes]:
    """The status and body that curl got."""
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
    answer, _, status = output.rpartition(b"\n")
    return int(status), answer


@needs_curl
@pytest.mark.parametrize(
    "words",
    [
        ("--data-binary", "@-"),
        ("-H", "Content-Type: text/csv", "--data-binary", "@-"),
        ("-H", "Transfer-Encoding: chunked", "--data-binary", "@-"),
        ("-H", "Expect: 100-continue", "--data-binary", "@-"),
        ("-F", "X=@-;filename=rows.csv"),
        ("-F", "X=<-"),
        ("-X", "POST", "-T", "-"),
        ("--http1.0", "--data-binary", "@-"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("size", ["small", "large"])
def test_curl_gets_the_same_predictions_however_it_sends(
    server: RunningServer, rows_answer: Answer, large_answer: Answer, words: tuple[str, ...], size: str
) -> None:
    body, expected = (ROWS, rows_answer) if size == "small" else (LARGE, large_answer)
    assert curl(server, "/predict/", *words, body=body) == (200, expected.body)


@needs_curl
def test_curl_sees_only_the_head_of_what_get_answers(server: RunningServer) -> None:
    status, head = curl(server, "/ping", "--head")
    assert status == 200
    assert b"content-length: 16" in head.lower()
    assert not head.partition(b"\r\n\r\n")[2].strip()


def test_requests_sends_a_form(server: RunningServer, session: requests.Session, rows_answer: Answer) -> None:
    answer = session.post(f"{server.url}/predict/", files={"X": ("rows.csv", ROWS, "text/csv")}, timeout=60)
    assert (answer.status_code, answer.content) == (200, rows_answer.body)


def test_requests_sends_chunks(server: RunningServer, session: requests.Session, large_answer: Answer) -> None:
    pieces = (LARGE[begin : begin + 100_000] for begin in range(0, len(LARGE), 100_000))
    answer = session.post(f"{server.url}/predict/", data=pieces, timeout=60)
    assert (answer.status_code, answer.content) == (200, large_answer.body)


def test_requests_sends_a_file(
    server: RunningServer, session: requests.Session, tmp_path: Path, large_answer: Answer
) -> None:
    (tmp_path / "rows.csv").write_bytes(LARGE)
    with (tmp_path / "rows.csv").open("rb") as file:
        answer = session.post(f"{server.url}/predict/", data=file, timeout=60)
    assert (answer.status_code, answer.content) == (200, large_answer.body)


def test_a_session_goes_on_after_every_kind_of_answer(
    server: RunningServer, session: requests.Session, rows_answer: Answer
) -> None:
    """Whatever came before, the next answer belongs to the next request."""
    for _ in range(3):
        assert session.get(f"{server.url}/nothing", timeout=60).status_code == 404
        assert session.post(f"{server.url}/predict/", data=b"", timeout=60).status_code == 422
        assert session.put(f"{server.url}/predict/", data=LARGE, timeout=60).status_code == 405
        assert session.head(f"{server.url}/ping", timeout=60).content == b""
        assert session.post(f"{server.url}/predict/", data=ROWS, timeout=60).content == rows_answer.body


def test_requests_that_do_not_wait_for_answers_are_answered_in_order(echo_trio: Trio, rows_answer: Answer) -> None:
    """A pipeline. The servers of WSGI close after the first answer, which says so; only FastAPI goes on."""
    post = b"POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(ROWS), ROWS)
    get = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for name, server in echo_trio.items():
        with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
            connection.sendall(post + get + post + last)
            answers = _read_all(connection)
        if name == "fastapi":
            assert [status_of(answer) for answer in answers] == [200] * 4
            assert [body_of(answer) for answer in answers] == [rows_answer.body, b'{"status":"alive"}'] * 2
        else:
            assert b"connection: close" in answers[0].lower()
            assert body_of(answers[0]) == rows_answer.body


def _read_all(connection: socket.socket) -> list[bytes]:
    """The answers until the server closes."""
    came = b""
    try:
        while piece := connection.recv(65536):
            came += piece
    except ConnectionResetError:
        pass  # a server that closes with requests unread
    return [b"HTTP/1.1 " + answer for answer in came.split(b"HTTP/1.1 ")[1:]]
