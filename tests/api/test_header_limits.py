"""All servers limit the time and the size of the request line and headers alike, and reject invalid HTTP as JSON."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.api.all_servers import SERVER_TYPES
from tests.cases import each_case
from tests.processes import RunningServer

pytestmark = pytest.mark.process

MODEL = "def load_model(code_dir): return 1\n\ndef score_unstructured(model, data, **kwargs): return data\n"
TOO_SLOW = "ERROR: The request line and headers did not arrive in time (DRUM_UPLOAD_TIMEOUT)."
HEAD = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


def _server(folder: Path, server_type: str, keep_alive: int) -> RunningServer:
    (folder / "model").mkdir()
    (folder / "model" / "custom.py").write_text(MODEL)
    variables = {"DRUM_SERVER_TYPE": server_type, "DRUM_LAME_DUCK_SECONDS": "0", "DRUM_UPLOAD_TIMEOUT": "1"}
    environment = {**variables, "DRUM_FASTAPI_KEEPALIVE": str(keep_alive)}
    arguments = ("--code-dir", folder / "model", "--target-type", "unstructured")
    return RunningServer(*arguments, log=folder / "log", environment=environment)


@pytest.fixture(scope="module", params=SERVER_TYPES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with _server(tmp_path_factory.mktemp("limits"), request.param, keep_alive=2) as running:
        yield running


def _exchange(server: RunningServer, *parts: bytes) -> bytes:
    """Send the parts and return all bytes up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    return received


def _status_and_message(response: bytes) -> tuple[int, str]:
    head, _, body = response.partition(b"\r\n\r\n")
    assert all(name in head for name in (b"x-drum-version: ", b"x-request-id: ", b"content-type: application/json"))
    return int(head.split()[1]), json.loads(body)["message"]


def test_silent_connection_is_closed(server: RunningServer) -> None:
    assert _exchange(server) == b""


def test_unfinished_headers_are_rejected_after_the_upload_timeout(server: RunningServer) -> None:
    parts = [b"P", b"POST /predictUn", HEAD, HEAD + b"Accept: */*\r\nX-"]
    with ThreadPoolExecutor(len(parts)) as threads:
        responses = threads.map(lambda part: _status_and_message(_exchange(server, part)), parts)
        assert dict(zip(parts, responses, strict=True)) == dict.fromkeys(parts, (408, TOO_SLOW))


@each_case(
    "field",
    [b"X-Long: " + b"a" * 70_000, b"\r\n".join(b"X-%d: %s" % (x, b"a" * 1000) for x in range(70))],
    ids=["one field", "many fields"],
)
def test_large_headers_are_rejected(server: RunningServer, field: bytes) -> None:
    status, message = _status_and_message(_exchange(server, HEAD + field + b"\r\n\r\n"))
    assert (status, message) == (431, "ERROR: The request line and headers are larger than 64 KiB.")


def test_large_request_line_is_rejected(server: RunningServer) -> None:
    assert _status_and_message(_exchange(server, b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 414


def test_headers_without_end_are_rejected(server: RunningServer) -> None:
    endless = (b"a" * 20_000 for _ in range(10))
    assert _status_and_message(_exchange(server, HEAD + b"X-Endless: ", *endless))[0] == 431


@each_case("size", [66_000, 140_000, 300_000])
def test_unfinished_large_headers_are_rejected_at_once(server: RunningServer, size: int) -> None:
    assert _status_and_message(_exchange(server, HEAD + b"X-Long: " + b"a" * size))[0] == 431


def test_headers_of_forty_kilobytes_are_accepted(server: RunningServer) -> None:
    assert _exchange(server, HEAD + b"X-Token: " + b"a" * 40_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK")


def test_slow_headers_within_the_limit_are_accepted(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        for part in (HEAD[:10], HEAD[10:], b"\r\n"):
            connection.sendall(part)
            time.sleep(0.05)  # so that the parts arrive apart
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")


FIELDS = b"".join(b"X-%d: a\r\n" % number for number in range(98))
"""With ``HEAD`` they are as many as allowed."""


@each_case(("more", "status"), [(b"", 200), (b"X-More: a\r\n", 431)], ids=["100", "101"])
def test_more_than_100_header_fields_are_rejected(server: RunningServer, more: bytes, status: int) -> None:
    response = _exchange(server, HEAD + FIELDS + more + b"\r\n")
    assert int(response.split()[1]) == status
    assert status == 200 or _status_and_message(response)[1] == "ERROR: The request has more than 100 header fields."


def test_request_line_of_sixty_kilobytes_is_accepted(server: RunningServer) -> None:
    request = HEAD.replace(b"/livez", b"/livez?q=" + b"a" * 60_000)
    assert _exchange(server, request + b"\r\n").startswith(b"HTTP/1.1 200 OK")


@each_case("size", [66_000, 140_000])
def test_unfinished_large_request_line_is_rejected_at_once(server: RunningServer, size: int) -> None:
    assert _status_and_message(_exchange(server, b"GET /" + b"a" * size))[0] == 414


POST = b"POST /predictUnstructured/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
INVALID = {
    "garbage": b"hello\r\n",
    "version": b"GET /livez HTTP/9.9\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /livez\r\n\r\n",
    "four words": b"GET /livez HTTP/1.1 more\r\n\r\n",
    "method in lower case": b"get /livez HTTP/1.1\r\n\r\n",
    "target": b"GET /\xff HTTP/1.1\r\n\r\n",
    "no colon": HEAD + b"no colon\r\n\r\n",
    "no name": HEAD + b": value\r\n\r\n",
    "space in name": HEAD + b"a name: value\r\n\r\n",
    "space before colon": HEAD + b"name : value\r\n\r\n",
    "folded": HEAD + b"name: a\r\n b\r\n\r\n",
    "zero byte": HEAD + b"name: \x00\r\n\r\n",
    "bare line feeds": HEAD.replace(b"\r", b"") + b"\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "two framings": POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "unknown coding": POST + b"Transfer-Encoding: nonsense\r\n\r\nx",
}


@each_case("request_bytes", INVALID.values(), ids=INVALID)
def test_invalid_http_is_rejected(server: RunningServer, request_bytes: bytes) -> None:
    assert _status_and_message(_exchange(server, request_bytes)) == (400, "ERROR: The request is not valid HTTP.")


def test_empty_line_before_the_request_line_is_ignored(server: RunningServer) -> None:
    assert _exchange(server, b"\r\n" + HEAD + b"\r\n").startswith(b"HTTP/1.1 200 OK")


def test_body_behind_headers_in_two_reads_is_not_taken_for_headers(server: RunningServer) -> None:
    head = b"POST /predictUnstructured/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 200000\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head)
        time.sleep(0.2)  # so that the rest of the headers arrives with the body
        connection.sendall(b"X-More: 1\r\n\r\n" + b"a" * 200_000)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")


def test_empty_line_does_not_hold_a_connection(server: RunningServer) -> None:
    response = _exchange(server, b"\r\n")
    assert not response or _status_and_message(response)[0] == 408


def test_server_without_keep_alive_serves_requests(tmp_path: Path) -> None:
    with _server(tmp_path, "fastapi", keep_alive=0) as server:
        assert _exchange(server, HEAD + b"\r\n").startswith(b"HTTP/1.1 200 OK")
