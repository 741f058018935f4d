"""Requests and hooks that try to break HTTP: pieces, pipelines, garbage, and headers that split the response."""

import re
import socket
from collections.abc import Iterator

import pytest

from tests.api.all_servers import Servers, running_servers
from tests.api.connections import TIMEOUT, body_of, exchange, receive, status_of
from tests.api.models import write_code
from tests.api.responses import assert_same_response
from tests.cases import each_case
from tests.processes import RunningServer

pytestmark = pytest.mark.process

MODEL = """
from datarobot_drum.drum.exceptions import CustomHTTPError

HEADERS = {
    "wide value": {"X-Wide": "\\u2603"},
    "wide name": {"X-\\u2603": "1"},
    "split value": {"X-Split": "a\\r\\nX-Evil: 1"},
    "split name": {"X-Split: 1\\r\\nX-Evil": "1"},
    "number": {"Retry-After": 5},
    "latin-1": {"X-Latin": "\u00e4 b\tc"},
}


def load_model(code_dir):
    return "model"


def score_unstructured(model, data, query, headers, **kwargs):
    action = query.get("action")
    if action in HEADERS:
        raise CustomHTTPError("teapot", 418, headers=HEADERS[action])
    if action == "split type":
        return "text", {"mimetype": "text/plain\\r\\nX-Evil: 1"}
    if action == "raise":
        raise ValueError("no such thing")
    if action == "stream":
        return iter(["one", "two", data])
    if action == "large":
        return b"\\x00" * 100_000, {"mimetype": "application/octet-stream"}
    if action == "modify":
        headers["X-Modified"] = "yes"
        query["modified"] = "yes"
        return repr(("X-Modified" in headers, query.get("modified")))
    if action == "seen":
        return repr(("X-Modified" in headers, query.get("modified")))
    return data
"""
ROUTE = "/predictUnstructured/"


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("hostile")
    model = write_code(folder / "model", MODEL)
    environment = {"DRUM_FASTAPI_UPLOAD_TIMEOUT": "1"}
    with running_servers(
        folder, "--code-dir", model, "--target-type", "unstructured", environment=environment
    ) as servers:
        yield servers


@pytest.fixture
def fastapi(all_servers: Servers) -> RunningServer:
    return all_servers["fastapi"]


def headers(*lines: str, length: int, query: str = "") -> bytes:
    fields = [f"POST {ROUTE}?{query} HTTP/1.1", "Host: here", f"Content-Length: {length}", *lines]
    return "\r\n".join(fields).encode("latin-1") + b"\r\n\r\n"


def without_date_and_id(response: bytes) -> bytes:
    return re.sub(rb"(?i)\r\n(date|x-request-id): [^\r]*", b"", response)


def statuses_of(responses: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1.1 (\d+)", responses)


def receive_all(connection: socket.socket) -> bytes:
    """Read responses until the server closes the connection."""
    responses = b""
    while chunk := connection.recv(65536):
        responses += chunk
    return responses


@each_case("action", ["wide value", "wide name", "split value", "split name", "split type"])
def test_headers_of_the_model_cannot_split_the_response(all_servers: Servers, action: str) -> None:
    response = assert_same_response(all_servers, "POST", ROUTE, params={"action": action}, content=b"x")
    assert response.status == 500
    assert b"header" in response.body


@each_case(("action", "name", "value"), [("number", "Retry-After", "5"), ("latin-1", "X-Latin", "ä b\tc")])
def test_a_model_may_send_numbers_and_latin_1_as_headers(
    server: RunningServer, action: str, name: str, value: str
) -> None:
    response = server.client.post(ROUTE, params={"action": action}, content=b"x")
    assert (response.status_code, response.headers[name]) == (418, value)


@each_case("query", ["", "action=stream", "action=raise"])
def test_a_request_may_arrive_in_pieces(server: RunningServer, query: str) -> None:
    request = headers("Connection: close", length=6, query=query) + b"pieces"
    expected = without_date_and_id(exchange(server, request))
    for cut in (10, len(request) - 6, len(request) - 1):
        assert without_date_and_id(exchange(server, request[:cut], request[cut:])) == expected


@each_case("body", [b"", b"half"], ids=["nothing", "half"])
def test_a_body_that_never_ends_gets_408(server: RunningServer, body: bytes) -> None:
    assert status_of(exchange(server, headers(length=6) + body)) == 408


def test_changes_of_a_hook_to_its_arguments_do_not_reach_the_next_request(server: RunningServer) -> None:
    bodies = [server.client.post(f"{ROUTE}?action={action}", content=b"x").text for action in ("modify", "seen")]
    assert bodies == ["(True, 'yes')", "(False, None)"]


@each_case("line", ["Content-Length: 4", "Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_second_length_is_rejected(server: RunningServer, line: str) -> None:
    assert status_of(exchange(server, headers(line, length=4) + b"body")) == 400


def test_garbage_after_a_request_closes_the_connection_after_its_response(fastapi: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", fastapi.port), TIMEOUT) as connection:
        connection.sendall(headers(length=5) + b"first" + b"\x00\x01 no HTTP at all\r\n\r\n")
        responses = receive_all(connection)
    assert (statuses_of(responses), responses.endswith(b"first")) == ([b"200"], True)


def test_a_malformed_chunk_gets_400(fastapi: RunningServer) -> None:
    request = headers("Transfer-Encoding: chunked", length=0).replace(b"Content-Length: 0\r\n", b"")
    assert status_of(exchange(fastapi, request, b"3\r\nbit\r\nno size\r\n")) == 400


def test_half_a_request_after_a_whole_one_gets_408(fastapi: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", fastapi.port), TIMEOUT) as connection:
        connection.sendall(headers(length=5) + b"whole" + headers(length=5) + b"ha")
        responses = b""
        while len(statuses_of(responses)) < 2:
            chunk = connection.recv(65536)
            assert chunk, responses
            responses += chunk
    assert statuses_of(responses) == [b"200", b"408"]


def test_a_pipelined_request_in_pieces_waits_for_the_response_before_it(fastapi: RunningServer) -> None:
    second = headers("Connection: close", length=6) + b"second"
    with socket.create_connection(("127.0.0.1", fastapi.port), TIMEOUT) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (headers(length=5, query="action=stream") + b"first", second[:20], second[20:]):
            connection.sendall(piece)
        responses = receive_all(connection)
    assert statuses_of(responses) == [b"200", b"200"]
    assert responses.index(b"first") < responses.index(b"\r\n\r\nsecond")


def test_a_kept_connection_takes_every_kind_of_request(fastapi: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", fastapi.port), TIMEOUT) as connection:
        for _ in range(3):
            connection.sendall(headers(length=4) + b"body")
            assert body_of(receive(connection)) == b"body"
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n")
            assert status_of(receive(connection)) == 200
            connection.sendall(headers("Expect: 100-continue", length=4))
            assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
            connection.sendall(b"late")
            assert body_of(receive(connection)) == b"late"
            connection.sendall(headers("Transfer-Encoding: chunked", length=0).replace(b"Content-Length: 0\r\n", b""))
            connection.sendall(b"3\r\nbit\r\n0\r\n\r\n")
            assert body_of(receive(connection)) == b"bit"


def test_a_client_that_reads_late_receives_everything(fastapi: RunningServer) -> None:
    """60 pipelined requests with 100 kB of response each: the first responses have to wait in the server."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(TIMEOUT)
        connection.connect(("127.0.0.1", fastapi.port))
        connection.sendall((headers(length=1, query="action=large") + b"x") * 60)
        received = 0
        while received < 60 * 100_000:
            chunk = connection.recv(1 << 20)
            assert chunk
            received += len(chunk)
