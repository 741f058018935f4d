"""Transfer of bodies: compressed, chunked, with ``Expect``, too large, truncated, garbage."""

import gzip
import socket
import struct
import zlib
from collections.abc import Iterator

import psutil
import pytest

from tests.api.all_servers import Servers
from tests.api.conftest import PREFIX, UPLOAD_LIMIT
from tests.api.connections import body_of, exchange, receive, request_bytes, status_of
from tests.api.responses import Response, assert_same_response
from tests.api.test_payloads import CSV, message, predict
from tests.cases import each_case
from tests.processes import RunningServer

pytestmark = pytest.mark.process

POST = "POST /predict/ HTTP/1.1"
POST_RAW = f"POST {PREFIX}/predict/ HTTP/1.1"


@pytest.fixture(scope="module")
def csv_response(echo_servers: Servers) -> Response:
    return predict(echo_servers, CSV)


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> Iterator[bytes]:
    """Yield the pieces in chunked transfer encoding."""
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield end


# Content-Encoding


@each_case("coding", ["GZIP", "x-gzip", "identity", ""])
def test_gzip_and_identity_are_decoded(echo_servers: Servers, csv_response: Response, coding: str) -> None:
    body = gzip.compress(CSV) if "gzip" in coding.lower() else CSV
    assert predict(echo_servers, body, Content_Encoding=coding.strip()) == csv_response


@each_case(
    "body",
    [gzip.compress(CSV[:5]) + gzip.compress(CSV[5:]), gzip.compress(CSV, 0), gzip.compress(b"") + gzip.compress(CSV)],
    ids=["two members", "stored", "empty member"],
)
def test_every_variant_of_gzip_is_decoded(echo_servers: Servers, csv_response: Response, body: bytes) -> None:
    assert predict(echo_servers, body, Content_Encoding="gzip") == csv_response


def test_a_compressed_form_is_decoded(echo_servers: Servers, csv_response: Response) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="X"\r\n\r\n' + CSV + b"\r\n--b--\r\n"
    media_type = "multipart/form-data; boundary=b"
    assert predict(echo_servers, gzip.compress(form), media_type, Content_Encoding="gzip") == csv_response


@each_case(
    "body",
    [CSV, gzip.compress(CSV)[:-1], gzip.compress(CSV) + b"x", zlib.compress(CSV), b""],
    ids=["plain", "no last byte", "a byte more", "zlib", "empty"],
)
def test_invalid_gzip_gets_400(echo_servers: Servers, body: bytes) -> None:
    response = predict(echo_servers, body, Content_Encoding="gzip")
    assert response.status == 400
    assert "gzip" in message(response)


@each_case("coding", ["br", "gzip, gzip", "gzip;q=1", "*"])
def test_other_content_encodings_get_415(echo_servers: Servers, coding: str) -> None:
    response = predict(echo_servers, gzip.compress(CSV), Content_Encoding=coding)
    assert response.status == 415
    assert "gzip" in message(response)


def test_two_content_encodings_get_415(echo_servers: Servers) -> None:
    headers = [("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")]
    assert assert_same_response(echo_servers, "POST", "/predict/", content=CSV, headers=headers).status == 415


# Transfer-Encoding and Expect


@each_case("pieces", [[CSV], [bytes([byte]) for byte in CSV]], ids=["one", "bytes"])
def test_a_chunked_body_is_predicted(server: RunningServer, csv_response: Response, pieces: list[bytes]) -> None:
    response = exchange(server, request_bytes(server, POST, "Transfer-Encoding: chunked"), *chunked(*pieces))
    assert (status_of(response), body_of(response)) == (200, csv_response.body)


def test_an_empty_chunked_body_gets_422(server: RunningServer) -> None:
    response = exchange(server, request_bytes(server, POST, "Transfer-Encoding: chunked"), *chunked())
    assert (status_of(response), b"empty" in body_of(response)) == (422, True)


def test_chunk_extensions_and_trailers_are_ignored_or_rejected(server: RunningServer, csv_response: Response) -> None:
    body = b"%x;name=value\r\n%s\r\n0\r\nX-Trailer: a\r\n\r\n" % (len(CSV), CSV)
    response = exchange(server, request_bytes(server, POST, "Transfer-Encoding: chunked"), body)
    assert (status_of(response), body_of(response)) in [(200, csv_response.body), (400, body_of(response))]


def test_expect_100_continue_gets_100_before_the_body(server: RunningServer, csv_response: Response) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        head = request_bytes(server, POST, f"Content-Length: {len(CSV)}", "Expect: 100-continue")
        connection.sendall(head)
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(CSV)
        response = receive(connection)
    assert status_of(response) == 200
    assert body_of(response) == csv_response.body


def test_a_post_without_a_body_gets_422(server: RunningServer) -> None:
    response = exchange(server, request_bytes(server, POST))
    assert (status_of(response), b"empty" in body_of(response)) == (422, True)


def test_http_1_0_requests_are_predicted(server: RunningServer, csv_response: Response) -> None:
    head = request_bytes(server, "POST /predict/ HTTP/1.0", f"Content-Length: {len(CSV)}")
    response = exchange(server, head + CSV)
    assert (status_of(response), body_of(response)) == (200, csv_response.body)


# Size


@each_case("more", [0, 1, 5_000_000])
def test_a_body_over_the_limit_gets_413(raw_servers: Servers, more: int) -> None:
    response = predict(raw_servers, b"x" * (UPLOAD_LIMIT + more))
    assert response.status == (413 if more else 200)
    assert not more or str(UPLOAD_LIMIT) in message(response)


@each_case("more", [0, 1, 5_000_000])
def test_a_chunked_body_over_the_limit_gets_413(raw_server: RunningServer, more: int) -> None:
    size = UPLOAD_LIMIT + more
    pieces = [b"x" * min(50_000, size - start) for start in range(0, size, 50_000)]
    response = exchange(
        raw_server, request_bytes(raw_server, POST_RAW, "Transfer-Encoding: chunked"), *chunked(*pieces)
    )
    assert status_of(response) == (413 if more else 200)
    assert not more or b"limit" in body_of(response)


def test_a_content_length_over_the_limit_gets_413_before_the_body(raw_server: RunningServer) -> None:
    response = exchange(raw_server, request_bytes(raw_server, POST_RAW, "Content-Length: 999999999999"))
    assert status_of(response) == 413
    assert b"limit" in body_of(response)


def test_a_body_over_the_limit_once_decompressed_gets_413(raw_servers: Servers) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < UPLOAD_LIMIT
    assert predict(raw_servers, bomb, Content_Encoding="gzip").status == 413


def test_a_form_over_the_limit_gets_413(raw_servers: Servers) -> None:
    files = {"X": ("x.csv", b"x" * UPLOAD_LIMIT)}
    assert assert_same_response(raw_servers, "POST", "/predict/", files=files).status == 413


# Truncated


def open_files(server: RunningServer) -> int:
    """Descriptors of the whole process tree."""
    process = psutil.Process(server.process.pid)
    return sum(member.num_fds() for member in [process, *process.children(recursive=True)])


@each_case(
    ("header", "body"),
    [
        ("Content-Length: 1000", CSV),
        ("Content-Length: 20000000", b"x" * 11_000_000),
        ("Transfer-Encoding: chunked", b"5\r\na,b"),
        ("Transfer-Encoding: chunked", b"".join(chunked(CSV, end=b""))),
        ("Transfer-Encoding: chunked", b"zz\r\na,b\r\n"),
        ("Transfer-Encoding: chunked", b"5\r\na,b\n1,2\n0\r\n\r\n"),
    ],
    ids=["length", "spooled", "chunk", "no last chunk", "no chunk size", "wrong chunk size"],
)
def test_a_truncated_body_leaks_nothing(server: RunningServer, header: str, body: bytes) -> None:
    server.client.get("/ping")
    before = open_files(server)
    for _ in range(3):
        response = exchange(server, request_bytes(server, POST, header), body, half_close=True)
        assert not response or status_of(response) == 400
        assert b"Traceback" not in response
    assert server.client.post("/predict/", content=CSV).status_code == 200
    server.wait_until(lambda: open_files(server) <= before, "closed descriptors")


@each_case("header", ["Content-Length: 1000000", "Transfer-Encoding: chunked", "Expect: 100-continue"])
def test_a_disconnect_within_the_body_leaks_nothing(server: RunningServer, header: str) -> None:
    _hang_up(server, header)  # what a server opens for the first one of all, and keeps, is no leak
    server.client.get("/ping")
    before = open_files(server)
    for _ in range(5):
        _hang_up(server, header)
    assert server.client.post("/predict/", content=CSV).status_code == 200
    server.wait_until(lambda: open_files(server) <= before, "closed descriptors")


def test_a_reset_after_the_response_leaks_nothing(server: RunningServer) -> None:
    _reset_after_response(server)
    before = open_files(server)
    for _ in range(20):
        _reset_after_response(server)
    server.wait_until(lambda: open_files(server) <= before, "closed descriptors")


def _reset_after_response(server: RunningServer) -> None:
    """Reset the connection while the server may still read from it."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(request_bytes(server, POST, f"Content-Length: {len(CSV)}", body=CSV))
        assert status_of(receive(connection)) == 200
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _hang_up(server: RunningServer, header: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(request_bytes(server, POST, header) + b"5\r\na,b\r")


GARBAGE = [
    b"\x00" * 100,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xab" * 200,
    b"hello\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1 more\r\n\r\n",
    b"POST /predict/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /predict/ HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    b"POST /predict/ HTTP/1.1\r\nTransfer-Encoding: nonsense\r\n\r\nabc",
    b"POST /predict/ HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    b"POST /predict/ HTTP/1.1\r\nContent-Type: text/csv\r\nContent-Type: text/mtx\r\nContent-Length: 0\r\n\r\n",
    b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
    b"GET / HTTP/1.1\r\n: no name\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: a\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: \x00\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
    b"GET http://other.example/ HTTP/1.1\r\n\r\n",
    b"CONNECT other.example:443 HTTP/1.1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


def test_a_server_survives_garbage(server: RunningServer, subtests: pytest.Subtests) -> None:
    for garbage in GARBAGE:
        with subtests.test(garbage=garbage[:40]):
            response = exchange(server, garbage, half_close=True)
            assert b"Traceback" not in response
            assert not response.startswith(b"HTTP/1.1 5") or response.startswith((b"HTTP/1.1 501", b"HTTP/1.1 505"))
            assert server.client.post("/predict/", content=CSV).status_code == 200
