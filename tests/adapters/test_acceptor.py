"""What the acceptor takes for a probe, beside the parser of the worker; the process itself: tests/resilience."""

import uuid
from email.utils import formatdate

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datarobot_drum.drum.uvicorn.acceptor import http_date, new_request_id, read_probe

NAMES = [
    "Host",
    "Connection",
    "X-Request-Id",
    "Accept",
    "Content-Length",
    "Transfer-Encoding",
    "Upgrade",
    "Proxy-Connection",
]
VALUES = [
    "x",
    "close",
    "keep-alive",
    "Keep-Alive, x",
    "0",
    "5",
    "chunked",
    "",
    "\t a \t",
    "h2c",
    "\x00",
    "é",
    "a\rb",
    "a\nb",
]

heads = st.builds(
    lambda method, path, version, lines, end: f"{method} {path} {version}\r\n{''.join(lines)}{end}".encode("latin-1"),
    st.sampled_from(["GET", "GET ", "HEAD", "get", "\r\nGET"]),
    st.sampled_from(["/livez", "/", "/livez?x", "/livez#x", "//livez", "http://h/livez", "*", ""]),
    st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.1 ", "http/1.1"]),
    st.lists(
        st.builds(
            lambda name, colon, value, end: f"{name}{colon}{value}{end}",
            st.sampled_from(NAMES),
            st.sampled_from([":", ": ", " :", "", ":\t"]),
            st.sampled_from(VALUES),
            st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r\n "]),
        ),
        max_size=4,
    ),
    st.sampled_from(["\r\n", "\r\n", "\n", "", "\r\nGET / HTTP/1.1\r\n"]),
)


class Parsed:
    """What the worker's parser makes of the same bytes."""

    def __init__(self, data: bytes) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.complete = False
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True
        self.method = self._parser.get_method()
        self.closes = self._parser.get_http_version() == "1.0" or not self._parser.should_keep_alive()


PROBE = b"GET /livez HTTP/1.1\r\nHost: x\r\n"


@given(heads)
@example(PROBE + b"\r\n")
@example(PROBE + b"Connection: close\r\nX-Request-Id: \t mine \r\nAccept:\r\n\r\n")
@example(PROBE.replace(b"1.1", b"1.0") + b"Connection: Keep-Alive\r\n\r\n")
def test_the_workers_parser_takes_it_for_the_same_request(data: bytes) -> None:
    probe = read_probe(data)
    if probe is None:
        return
    path, identifier, closes, length = probe
    parsed = Parsed(data[:length])
    assert (parsed.method, parsed.url, parsed.body, parsed.complete) == (b"GET", path, b"", True)
    assert parsed.closes == closes
    assert [value.strip(b" \t") for name, value in parsed.headers if name == b"x-request-id"] in ([], [identifier])


@pytest.mark.parametrize(
    "lines",
    [[], ["Connection: close"], ["User-Agent: kube-probe/1.30", "Accept: */*"], ["connection:keep-alive"]],
    ids=["plain", "close", "kubernetes", "keep-alive"],
)
def test_what_orchestrators_send_is_taken_for_a_probe(lines: list[str]) -> None:
    head = PROBE + "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"
    assert read_probe(head) == (b"/livez", b"", "Connection: close" in lines, len(head))
    assert read_probe(head + head) == read_probe(head)
    assert not any(read_probe(head[:length]) for length in range(len(head)))


@given(st.integers(0, 2**33))
def test_dates_are_those_of_the_worker(seconds: int) -> None:
    assert http_date(seconds).decode() == formatdate(seconds, usegmt=True)


def test_request_ids_are_uuids_of_version_four() -> None:
    made = {new_request_id().decode() for _ in range(1000)}
    assert len(made) == 1000
    assert all(str(uuid.UUID(text)) == text and uuid.UUID(text).version == 4 for text in made)
    assert {uuid.UUID(text).variant for text in made} == {uuid.RFC_4122}
