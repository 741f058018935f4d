"""The fast path answers what the way of ASGI answers: the same request, at once or with its body a moment later."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from datarobot_drum.drum.uvicorn.heads import MOST_HEADS
from datarobot_drum.drum.uvicorn.reading import STRAGGLER_SECONDS
from tests.api.connections import TIMEOUT, body_of, exchange, receive, status_of
from tests.processes import RunningServer

pytestmark = pytest.mark.process

MODEL = """
import time

from datarobot_drum.drum.exceptions import CustomHTTPError


def load_model(code_dir):
    return "model"


def score_unstructured(model, data, query, headers, **kwargs):
    asked = query.get("asked")
    if asked == "raise":
        raise ValueError("no such thing")
    if asked == "stream":
        return iter(["one", "two", data])
    if asked == "bytes":
        return b"\\x00" * 100_000, {"mimetype": "application/octet-stream"}
    if asked == "headers":
        return repr(sorted(headers.items()))
    if asked == "spoil":
        headers["X-Spoilt"] = "yes"
        query["spoilt"] = "yes"
        return repr(("X-Seen" in headers, query.get("seen")))
    if asked == "slow":
        time.sleep(0.3)
    if asked == "snow":
        raise CustomHTTPError("teapot", 418, headers={"X-Snow": "\\u2603"})
    if asked == "split":
        raise CustomHTTPError("teapot", 418, headers={"X-Split": "a\\r\\nX-Evil: 1"})
    if asked == "number":
        raise CustomHTTPError("teapot", 418, headers={"Retry-After": 5})
    if asked == "name":
        raise CustomHTTPError("teapot", 418, headers={"X-Split: 1\\r\\nX-Evil": "1"})
    if asked == "snowy":
        raise CustomHTTPError("teapot", 418, headers={"X-\\u2603": "1"})
    if asked == "break":
        return "text", {"mimetype": "text/plain\\r\\nX-Evil: 1"}
    return data
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("fast")
    (folder / "custom.py").write_text(MODEL, encoding="utf-8")
    environment = {
        "DRUM_SERVER_TYPE": "fastapi",
        "DRUM_LAME_DUCK_SECONDS": "0",
        "DRUM_UPLOAD_TIMEOUT": "1",
    }
    words = ("--code-dir", folder, "--target-type", "unstructured")
    with RunningServer(*words, log=folder / "log", environment=environment) as running:
        yield running


def head(*lines: str, length: int, target: str = "/predictUnstructured/") -> bytes:
    fields = [f"POST {target} HTTP/1.1", "Host: here", f"Content-Length: {length}", *lines]
    return "\r\n".join(fields).encode("latin-1") + b"\r\n\r\n"


def without_moment(answer: bytes) -> bytes:
    """The answer without the two fields that differ from one request to the next."""
    return re.sub(rb"(?i)\r\n(date|x-request-id): [^\r]*", b"", answer)


def receive_to_end(connection: socket.socket) -> bytes:
    answers = b""
    while piece := connection.recv(65536):
        answers += piece
    return answers


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("", ("Content-Type: text/plain",)),
        ("", ("Content-Type: text/plain; charset=latin-1",)),
        ("", ("Content-Type: text/plain; charset=nonsense",)),
        ("", ("Content-Type: application/octet-stream", "Connection: close")),
        ("", ("Content-Encoding: gzip",)),
        ("", ("X-Request-ID: mine",)),
        ("asked=raise", ()),
        ("asked=stream", ()),
        ("asked=bytes", ()),
        ("asked=headers", ("X-Twice: 1", "x-twice: 2", "X-Empty:")),
        ("asked=break", ()),
        ("asked=snow", ()),
        ("asked=split", ()),
        ("asked=name", ()),
        ("asked=snowy", ()),
        ("asked=number", ()),
    ],
)
def test_both_ways_answer_the_same(server: RunningServer, query: str, lines: tuple[str, ...]) -> None:
    body = "näh".encode()
    start = head(*lines, "Connection: close", length=len(body), target=f"/predictUnstructured/?{query}")
    at_once = exchange(server, start + body)
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
        connection.sendall(start)
        time.sleep(6 * STRAGGLER_SECONDS)  # should the server not have gone on by then, the test is weaker, not wrong
        connection.sendall(body)
        later = receive(connection)
    assert without_moment(at_once) == without_moment(later)


@pytest.mark.parametrize("query", ["", "asked=stream", "asked=raise"])
def test_a_body_may_come_in_pieces(server: RunningServer, query: str) -> None:
    whole = head("Connection: close", length=6, target=f"/predictUnstructured/?{query}") + b"pieces"
    at_once = exchange(server, whole)
    for cut in (len(whole) - 6, len(whole) - 1, 10):
        with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(whole[:cut])
            time.sleep(STRAGGLER_SECONDS / 5)
            connection.sendall(whole[cut:])
            assert without_moment(receive(connection)) == without_moment(at_once)


def test_a_body_that_trickles_is_waited_for_no_longer_than_others(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(STRAGGLER_SECONDS / 3)
        connection.sendall(head(length=2000))
        answer = b""
        for _ in range(1900):
            with suppress(TimeoutError):
                answer = connection.recv(65536)
                break
            connection.sendall(b"x")
    assert status_of(answer) == 408


def test_a_small_body_that_does_not_come_is_told(server: RunningServer) -> None:
    for part in (b"", b"half"):
        assert status_of(exchange(server, head(length=6) + part)) == 408


def test_a_client_that_leaves_in_its_body_harms_nobody(server: RunningServer) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
            connection.sendall(head(length=6) + b"half")
    assert body_of(exchange(server, head("Connection: close", length=4) + b"fast")) == b"fast"


@pytest.mark.parametrize("query", ["asked=slow", "asked=stream"])
def test_what_comes_before_the_answer_waits_for_it(server: RunningServer, query: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
        connection.sendall(head(length=5, target=f"/predictUnstructured/?{query}") + b"first")
        time.sleep(0.1)
        second = head("Connection: close", length=6) + b"second"
        connection.sendall(second[:20])
        time.sleep(0.05)
        connection.sendall(second[20:])
        answers = receive_to_end(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"200"]
    assert answers.index(b"first") < answers.index(b"\r\n\r\nsecond")


def test_garbage_behind_a_request_is_told_after_its_answer(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
        connection.sendall(head(length=5, target="/predictUnstructured/?asked=slow") + b"first")
        time.sleep(0.1)
        connection.sendall(b"\x00\x01 no HTTP at all\r\n\r\n")
        answers = receive_to_end(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"400"]


def test_what_a_hook_does_to_its_arguments_is_not_seen_by_the_next_request(server: RunningServer) -> None:
    request = head("Connection: close", length=1, target="/predictUnstructured/?asked=spoil") + b"x"
    assert [body_of(exchange(server, request)) for _ in range(3)] == [b"(False, None)"] * 3
    seen = head("Connection: close", length=1, target="/predictUnstructured/?asked=headers") + b"x"
    assert b"Spoilt" not in exchange(server, seen)


def test_heads_that_differ_are_told_apart(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
        for number in (*range(2 * MOST_HEADS), *range(2 * MOST_HEADS)):
            connection.sendall(head(f"X-Request-ID: id-{number}", length=len(str(number))) + b"%d" % number)
            answer = receive(connection)
            assert body_of(answer) == b"%d" % number
            assert b"x-request-id: id-%d\r\n" % number in answer


@pytest.mark.parametrize("lines", [("Content-Length: 4",), ("Content-Length: 5",), ("Transfer-Encoding: chunked",)])
def test_a_second_length_is_refused(server: RunningServer, lines: tuple[str, ...]) -> None:
    for _ in range(2):  # what was refused is not known afterwards
        assert status_of(exchange(server, head(*lines, length=4) + b"body")) == 400


def test_requests_in_one_packet_are_answered_in_their_order(server: RunningServer) -> None:
    bodies = [b"%d" % number for number in range(5)]
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
        connection.sendall(b"".join(head(length=len(body)) + body for body in bodies))
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 5 or not answers.endswith(b"\r\n\r\n4"):
            piece = connection.recv(65536)
            assert piece, answers
            answers += piece
    assert re.findall(rb"\r\n\r\n(\d)", answers) == bodies


def test_a_kept_connection_changes_between_the_ways(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
        for _ in range(3):
            connection.sendall(head(length=4) + b"fast")
            assert body_of(receive(connection)) == b"fast"
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n")
            assert status_of(receive(connection)) == 200
            connection.sendall(head("Expect: 100-continue", length=4))
            assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
            connection.sendall(b"slow")
            assert body_of(receive(connection)) == b"slow"
            connection.sendall(head("Transfer-Encoding: chunked", length=0).replace(b"Content-Length: 0\r\n", b""))
            connection.sendall(b"3\r\nbit\r\n0\r\n\r\n")
            assert body_of(receive(connection)) == b"bit"


def test_half_a_request_behind_a_whole_one_is_not_waited_for(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
        connection.sendall(head(length=5) + b"whole" + head(length=5) + b"ha")
        answers = b""
        while piece := connection.recv(65536):
            answers += piece
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"408"]


def test_a_client_that_reads_late_gets_everything(server: RunningServer) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(TIMEOUT)
        connection.connect(("127.0.0.1", server.port))
        request = head(length=1, target="/predictUnstructured/?asked=bytes") + b"x"
        connection.sendall(request * 60)  # six megabytes of answers: the first ones have to wait in the server
        time.sleep(0.3)
        received = 0
        while received < 60 * 100_000:
            piece = connection.recv(1 << 20)
            assert piece
            received += len(piece)
