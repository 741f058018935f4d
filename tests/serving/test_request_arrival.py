"""When the beginning of a connection is a request to handle."""

from datarobot_drum.drum.serving.request_arrival import MAX_BODY_AHEAD, expects_continue, has_arrived
from datarobot_drum.drum.serving.request_head import MAX_HEAD_BYTES
from tests.cases import each_case

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"transfer-encoding: Chunked\r\n\r\n"

WHOLE = {
    "no body": GET,
    "length": POST + b"CONTENT-LENGTH: 4 \r\n\r\nbody",
    "chunks": CHUNKED + b"4;name=value\r\nbody\r\n0\r\n\r\n",
    "trailer": CHUNKED + b"4\r\nbody\r\n0\r\nX: a\r\n\r\n",
    "empty line first": b"\r\n" + GET,
}


@each_case("data", WHOLE.values(), ids=WHOLE)
def test_whole_request_has_arrived_at_its_last_byte(data: bytes) -> None:
    assert [end for end in range(len(data) + 1) if has_arrived(data[:end])] == [len(data)]


@each_case(
    "data",
    [
        b"hello\r\n",
        b"GET / HTTP/9.9\r\n",
        b"GET / HTTP/1.1\n",
        b"a" * (MAX_HEAD_BYTES + 1),
        POST + b"Content-Length: many\r\n\r\n",
        POST + b"Content-Length: 1000\r\n\r\n",
        CHUNKED + b"no size\r\n",
    ],
    ids=["garbage", "version", "bare line feed", "long", "no number", "over the limit", "malformed chunk"],
)
def test_request_to_reject_has_arrived(data: bytes) -> None:
    assert has_arrived(data, max_body=999)


def test_beginning_of_large_body_has_arrived() -> None:
    head = POST + b"Content-Length: 1000000\r\n\r\n"
    assert not has_arrived(head + b"a" * (MAX_BODY_AHEAD - 1))
    assert has_arrived(head + b"a" * MAX_BODY_AHEAD)


def test_client_that_expects_continue_is_known_by_its_headers() -> None:
    head = POST + b"Content-Length: 10\r\nexpect: 100-Continue\r\n\r\n"
    assert expects_continue(head, max_body=10)
    assert not expects_continue(head, max_body=9)
    assert not expects_continue(GET, max_body=10)
