"""Requests that go on to the engine and answers that come back, byte for byte (http-api.md section 10)."""

import json
import zlib
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from datarobot_drum import __version__
from tests.api.all_servers import Servers
from tests.api.connections import body_of, exchange, request_bytes, status_of
from tests.api.responses import REQUEST_ID, assert_same_response
from tests.engine.running import RunningEngine
from tests.processes import RunningServer

pytestmark = pytest.mark.process

MIB = 1024 * 1024
METHODS = ["GET", "POST", "PUT"]
ROUTES = ["/directAccess", "/nim"]


def echo(all_servers: Servers, method: str, path: str, **details: Any) -> dict[str, Any]:
    """What the engine was asked, on whatever server."""
    answer = assert_same_response(all_servers, method, path, **details)
    assert answer.status == 200, answer.body
    document: dict[str, Any] = json.loads(answer.body)
    return document


def fields_of(document: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in document["headers"]}


# There


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("method", METHODS)
def test_method_path_query_and_body_reach_the_engine(all_servers: Servers, method: str, route: str) -> None:
    asked = echo(all_servers, method, f"{route}/v1/fold?a=%2F..&b=@x&&c", content=b"\x00body")
    assert (asked["method"], asked["target"], asked["body"]) == (method, "/v1/fold?a=%2F..&b=@x&&c", "\x00body")


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", "/"),
        ("/", "/"),
        ("/x/", "/x/"),
        ("/a//b", "/a//b"),
        ("/./x", "/./x"),
        ("/%7Euser/%41%2fb%20c", "/%7Euser/%41%2fb%20c"),
        ("/%zz%", "/%zz%"),
        ("/%E6%97%A5%FF", "/%E6%97%A5%FF"),
        ("/a...b/..c/d..", "/a...b/..c/d.."),
        ("/v1/models/x:predict;p=1,2!$&'()*+", "/v1/models/x:predict;p=1,2!$&'()*+"),
        ('/"<>^`{|}', '/"<>^`{|}'),
        ("/x?", "/x"),
        ("/x?%00%0a?/\\..//", "/x?%00%0a?/\\..//"),
        ("/nim/directAccess", "/nim/directAccess"),
        ("/" + "x" * 3000, "/" + "x" * 3000),
    ],
)
def test_the_target_goes_on_as_it_was_sent(all_servers: Servers, path: str, target: str) -> None:
    for server in all_servers.values():
        answer = exchange(server, request_bytes(server, f"GET /nim{path} HTTP/1.1"))
        assert (status_of(answer), json.loads(body_of(answer))["target"]) == (200, target)


REFUSED = [
    "/..",
    "/../x",
    "/a/../x",
    "/a/..",
    "/%2e%2e/x",
    "/.%2E/x",
    "/a/%2e./x",
    "/%252e%252e/x",
    "/%2525252e./x",
    "/%25252525252525252e",
    "/..;/x",
    "/a%2f..%2fx",
    "//other.example/x",
    "/%2Fother.example/x",
    "///x",
    "/http://other.example/",
    "/http%3A%2F%2Fother.example/",
    "/a/https:%2f/other.example",
    "/user@other.example/",
    "/%40other.example",
    "/a\\b",
    "/%5c%5Cother.example",
    "/%255cx",
    "/a%00b",
    "/a%0d%0aHost:%20other.example",
    "/a%0a",
    "/%0a",
    "/a%7f",
    "%2Fx",
    "%2f%2fx",
]


@pytest.mark.parametrize("path", REFUSED)
def test_a_path_that_could_lead_elsewhere_is_refused(all_servers: Servers, engine: RunningEngine, path: str) -> None:
    for server in all_servers.values():
        for route in ROUTES:
            answer = exchange(server, request_bytes(server, f"GET {route}{path} HTTP/1.1"))
            assert status_of(answer) == 400, (answer, server.log_end())
            assert b"goes on to the engine" in body_of(answer)


@pytest.mark.parametrize("target", ["http://other.example/nim/x?y", "HTTP://other.example:99/nim/x?y"])
def test_an_absolute_target_is_still_ours(all_servers: Servers, target: str) -> None:
    for server in all_servers.values():
        answer = exchange(server, request_bytes(server, f"GET {target} HTTP/1.1"))
        assert json.loads(body_of(answer))["target"] == "/x?y"


@pytest.mark.parametrize("path", ["/%6eim/x", "/nim%2Fx", "//nim/x", "/directAcces%73/x", "/nimx/y", "/nim.x"])
def test_other_spellings_of_the_route_lead_nowhere_else(all_servers: Servers, path: str) -> None:
    assert assert_same_response(all_servers, "GET", path).status in (200, 400, 404)


paths = st.lists(
    st.sampled_from(["/", ".", "..", "%2e", "%2F", "%25", "%5c", "\\", "@", ":", "//", "http:", "#", "?", "%00", "a"])
    | st.characters(min_codepoint=33, max_codepoint=126),
    max_size=20,
).map("".join)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(path=paths)
@example(path="/@other.example:80/")
@example(path=":80@other.example")
@example(path="/#@other.example/")
@example(path="?/../..")
def test_no_path_changes_the_target(all_servers: Servers, engine: RunningEngine, path: str) -> None:
    """Whatever comes, the engine is asked for just that path under its own name, or nobody is asked."""
    for server in all_servers.values():
        answer = exchange(server, request_bytes(server, f"GET /nim{path} HTTP/1.1"))
        assert status_of(answer) in (200, 400, 404), answer
        if status_of(answer) == 200:
            asked = json.loads(body_of(answer))
            place, _, query = path.partition("#")[0].partition("?")
            assert asked["target"] == (place or "/") + ("?" + query if query else "")
            assert fields_of(asked)["host"] == f"127.0.0.1:{engine.port}"


def test_headers_go_on_but_those_for_one_connection(all_servers: Servers, engine: RunningEngine) -> None:
    sent = {
        "Host": "public.example",
        "Authorization": "Bearer secret",
        "Proxy-Authorization": "Basic x",
        "Connection": "close, X-Hop,X-Other-Hop",
        "X-Hop": "1",
        "x-other-hop": "2",
        "TE": "trailers",
        "Trailer": "X-Sum",
        "Upgrade": "websocket",
        "Keep-Alive": "5",
        "Content-Type": "chemical/x-pdb",
        "Content-Encoding": "br",
        "Accept-Encoding": "br",
        "Cookie": "a=1",
        "X-Own": "yes",
    }
    got = fields_of(echo(all_servers, "POST", "/nim/x", headers=sent, content=b"12345"))
    assert got == {
        "host": f"127.0.0.1:{engine.port}",
        "x-request-id": REQUEST_ID,
        "content-type": "chemical/x-pdb",
        "content-encoding": "br",
        "accept-encoding": "br",
        "cookie": "a=1",
        "x-own": "yes",
        "accept": "*/*",
        "user-agent": httpx.Client().headers["User-Agent"],
        "content-length": "5",
    }


def test_no_header_is_invented(all_servers: Servers, engine: RunningEngine) -> None:
    for server in all_servers.values():
        answer = exchange(server, request_bytes(server, "GET /nim/x HTTP/1.1"))
        assert set(fields_of(json.loads(body_of(answer)))) == {"host", "x-request-id"}


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_request_without_a_body_says_so(all_servers: Servers, method: str) -> None:
    assert fields_of(echo(all_servers, method, "/nim/x"))["content-length"] == "0"


def test_a_chunked_body_stays_chunked(all_servers: Servers) -> None:
    for server in all_servers.values():
        answer = server.client.post("/nim/x", content=iter([b"one", b"two" * 1000])).json()
        assert (answer["size"], answer["body"][:6]) == (3003, "onetwo")
        assert fields_of(answer)["transfer-encoding"] == "chunked"
        assert "content-length" not in fields_of(answer)


def test_an_expected_100_is_given(all_servers: Servers) -> None:
    for server in all_servers.values():
        head = request_bytes(server, "PUT /nim/x HTTP/1.1", "Expect: 100-continue", "Content-Length: 3")
        answer = exchange(server, head, b"abc")
        whole = answer.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"", 1)
        if not whole:
            continue
        assert status_of(whole) == 200


# And back


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 401, 404, 405, 418, 422, 429, 500, 503, 599])
def test_the_status_comes_back(all_servers: Servers, status: int, method: str) -> None:
    answer = assert_same_response(all_servers, method, f"/nim/status/{status}")
    assert answer.status == status
    assert answer.body == (b"" if status in (204, 304) else b'{"status": %d}' % status)


def test_headers_come_back_but_those_for_one_connection(server: RunningServer) -> None:
    with server.client.stream("GET", "/nim/fields", headers={"X-Request-ID": REQUEST_ID}) as response:
        raw = b"".join(response.iter_raw())
    assert zlib.decompress(raw, 31) == b"packed"
    own = [(name, value) for name, value in response.headers.multi_items() if name not in ("connection", "server")]
    assert sorted(own) == [
        ("content-encoding", "gzip"),
        ("content-length", str(len(raw))),
        ("content-type", "text/x-odd"),
        ("date", response.headers["date"]),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("x-drum-version", __version__),
        ("x-own", "yes"),
        ("x-request-id", REQUEST_ID),
    ]
    assert "yesterday" not in response.headers["date"] and response.headers.get("server") != "engine"


def test_what_the_engine_sets_for_one_client_reaches_no_other(all_servers: Servers) -> None:
    for server in all_servers.values():
        httpx.get(server.url + "/nim/fields", trust_env=False)
        answer = httpx.get(server.url + "/nim/x", trust_env=False).json()
        assert "cookie" not in fields_of(answer)


@pytest.mark.parametrize("path", ["/nim/x", "/nim/status/404"])
def test_head_is_answered_without_a_body(all_servers: Servers, path: str) -> None:
    answer = assert_same_response(all_servers, "HEAD", path)
    assert (answer.status, answer.body) == (404 if "404" in path else 200, b"")
    assert int(dict(answer.headers)["content-length"]) > 0


def test_a_redirect_is_the_clients_to_follow(all_servers: Servers) -> None:
    answer = assert_same_response(all_servers, "POST", "/nim/redirect", content=b"x")
    assert (answer.status, dict(answer.headers)["location"]) == (307, "http://127.0.0.1:9/elsewhere")


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/nim", "/nim/x", "/directAccess/x/"])
def test_other_methods_are_refused(all_servers: Servers, method: str, path: str) -> None:
    answer = assert_same_response(all_servers, method, path)
    assert (answer.status, dict(answer.headers)["allow"]) == (405, "GET, HEAD, POST, PUT")


@pytest.mark.parametrize("path", ["/nim/mute", "/nim/nonsense"])
def test_an_engine_that_does_not_answer_properly_is_a_bad_gateway(all_servers: Servers, path: str) -> None:
    answer = assert_same_response(all_servers, "GET", path)
    assert answer.status == 502
    assert b"broke off" in answer.body
