"""The kinds of requests that every extension is tried with, each with its response."""

import gzip
import json
import re
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import httpx
import pytest

from tests.extensions.servers import ExtendedServer
from tests.processes import PLAIN

ROWS = b"x,text\n1,a\n2,b\n3,c\n"
LARGE = b"x,text\n" + b"".join(b"%d,%s\n" % (row, b"t" * 1_000_000) for row in range(20))
CSV = {"Content-Type": "text/csv"}
PROBES = ("/livez", "/readyz", "/", "/ping/", "/health/")

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    """A response; its headers are not compared."""

    status: int
    body: bytes
    content_type: str
    headers: httpx.Headers = field(compare=False)


def send(server: ExtendedServer, method: str, path: str, headers: Headers, **details: Any) -> Outcome:
    """Send one request on a connection of its own."""
    with httpx.Client(base_url=server.url, timeout=60.0, **PLAIN) as client:
        response = client.request(method, path, headers=headers, **details)
    content_type = response.headers.get("content-type", "")
    return Outcome(response.status_code, response.content, content_type, response.headers)


def predict(server: ExtendedServer, headers: Headers, content: bytes = ROWS, path: str = "/predict/") -> Outcome:
    """Send rows as csv."""
    return send(server, "POST", path, {**CSV, **headers}, content=content)


def predict_multipart(server: ExtendedServer, headers: Headers) -> Outcome:
    """Send rows as a file of a form."""
    return send(server, "POST", "/predict/", headers, files={"X": ("rows.csv", ROWS, "text/csv")})


def predict_gzip(server: ExtendedServer, headers: Headers) -> Outcome:
    """Send rows with a content encoding."""
    return predict(server, {"Content-Encoding": "gzip", **headers}, gzip.compress(ROWS))


def stream_chat(server: ExtendedServer, headers: Headers) -> Outcome:
    """Chat with a streamed response; its id, which no two requests share, is removed."""
    outcome = send(server, "POST", "/chat/completions", headers, json=_chat("one two three"))
    return replace(outcome, body=re.sub(rb'"datarobot_association_id":"[^"]*"', b"", outcome.body))


def disconnect_in_body(server: ExtendedServer, headers: Headers) -> Outcome:
    """Disconnect after a part of the body; return the response to the next request."""
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "localhost", **CSV, **headers}.items())
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(f"POST /predict/ HTTP/1.1\r\n{head}Content-Length: 100000\r\n\r\n".encode() + ROWS)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    outcome = predict(server, headers)
    server.wait_nothing_left()
    return outcome


def disconnect_in_stream(server: ExtendedServer, headers: Headers) -> Outcome:
    """Disconnect after the first chunk of an endless stream; return the response to the next request."""
    closed = server.closed_streams()
    with (
        httpx.Client(base_url=server.url, timeout=60.0, **PLAIN) as client,
        client.stream("POST", "/chat/completions", json=_chat("endless"), headers=headers) as response,
    ):
        assert response.status_code == 200, response.read()
        next(response.iter_raw())
    server.wait_until(lambda: server.closed_streams() > closed, "closed stream", timeout=20)
    server.wait_nothing_left()
    return predict(server, headers)


def ask_probes(server: ExtendedServer, headers: Headers) -> Outcome:
    """Ask every probe; the responses in one."""
    outcomes = [send(server, "GET", path, headers) for path in PROBES]
    assert {outcome.status for outcome in outcomes} == {200}, outcomes
    return Outcome(200, b"".join(outcome.body for outcome in outcomes), "", outcomes[0].headers)


def _chat(text: str) -> dict[str, Any]:
    return {"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]}


Send = Callable[[ExtendedServer, Headers], Outcome]

KINDS: dict[str, Send] = {
    "small": predict,
    "20 MB": partial(predict, content=LARGE),
    "multipart": predict_multipart,
    "gzip": predict_gzip,
    "stream": partial(predict, path="/predictionsStream/"),
    "chat stream": stream_chat,
    "disconnect in body": disconnect_in_body,
    "disconnect in stream": disconnect_in_stream,
    "probes": ask_probes,
    "not found": lambda server, headers: send(server, "GET", "/nothing", headers),
}

PREDICTIONS = [kind for kind in KINDS if kind not in ("probes", "not found")]


def parse_json(outcome: Outcome) -> Any:
    """Return the JSON document of the body."""
    return json.loads(outcome.body)


@dataclass(frozen=True)
class Case:
    """An extension, the headers to send, and the headers by which it marks every response."""

    extension: str
    headers: dict[str, str] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    own_kinds: frozenset[str] = frozenset()
    """Kinds of requests that the extension answers itself."""


def assert_keeps_responses(
    server: ExtendedServer, case: Case, plain: dict[str, Outcome], subtests: pytest.Subtests
) -> None:
    """Send every kind of request to a server with the extension; ``plain`` are the responses without it."""
    for kind, send_kind in KINDS.items():
        with subtests.test(kind=kind):
            outcome = send_kind(server, case.headers)
            if kind not in case.own_kinds:
                assert outcome == plain[kind]
            assert {name: outcome.headers.get(name) for name in case.marks} == case.marks
            assert "x-drum-version" in outcome.headers
