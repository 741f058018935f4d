"""Requests to the engine and its responses pass through direct access byte for byte."""

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
    """Return the request that the engine received; all servers must send the same."""
    response = assert_same_response(all_servers, method, path, **details)
    assert response.status == 200, response.body
    document: dict[str, Any] = json.loads(response.body)
    return document


def headers_of(document: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in document["headers"]}


# Requests


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("method", METHODS)
def test_engine_receives_method_path_query_and_body(all_servers: Servers, method: str, route: str) -> None:
    request = echo(all_servers, method, f"{route}/v1/fold?a=%2F..&b=@x&&c", content=b"\x00body")
    assert (request["method"], request["target"], request["body"]) == (method, "/v1/fold?a=%2F..&b=@x&&c", "\x00body")


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
def test_engine_receives_the_request_target_unchanged(all_servers: Servers, path: str, target: str) -> None:
    for server in all_servers.values():
        response = exchange(server, request_bytes(server, f"GET /nim{path} HTTP/1.1"))
        assert (status_of(response), json.loads(body_of(response))["target"]) == (200, target)


REJECTED_PATHS = [
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


@pytest.mark.parametrize("path", REJECTED_PATHS)
def test_path_to_another_host_or_parent_is_rejected(all_servers: Servers, engine: RunningEngine, path: str) -> None:
    for server in all_servers.values():
        for route in ROUTES:
            response = exchange(server, request_bytes(server, f"GET {route}{path} HTTP/1.1"))
            assert status_of(response) == 400, (response, server.log_end())
            assert b"goes on to the engine" in body_of(response)


@pytest.mark.parametrize("target", ["http://other.example/nim/x?y", "HTTP://other.example:99/nim/x?y"])
def test_absolute_target_does_not_change_the_host(all_servers: Servers, target: str) -> None:
    for server in all_servers.values():
        response = exchange(server, request_bytes(server, f"GET {target} HTTP/1.1"))
        assert json.loads(body_of(response))["target"] == "/x?y"


@pytest.mark.parametrize("path", ["/%6eim/x", "/nim%2Fx", "//nim/x", "/directAcces%73/x", "/nimx/y", "/nim.x"])
def test_route_path_variants_have_the_same_status(all_servers: Servers, path: str) -> None:
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
def test_no_path_changes_the_target_host(all_servers: Servers, engine: RunningEngine, path: str) -> None:
    """The engine receives exactly that path with its own Host header, or no request at all."""
    for server in all_servers.values():
        response = exchange(server, request_bytes(server, f"GET /nim{path} HTTP/1.1"))
        assert status_of(response) in (200, 400, 404), response
        if status_of(response) == 200:
            request = json.loads(body_of(response))
            route, _, query = path.partition("#")[0].partition("?")
            assert request["target"] == (route or "/") + ("?" + query if query else "")
            assert headers_of(request)["host"] == f"127.0.0.1:{engine.port}"


def test_engine_receives_end_to_end_headers_only(all_servers: Servers, engine: RunningEngine) -> None:
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
        "X-Api-Key": "secret",
        "X_Own": "no",
        "X-Own": "yes",
    }
    got = headers_of(echo(all_servers, "POST", "/nim/x", headers=sent, content=b"12345"))
    assert got == {
        "host": f"127.0.0.1:{engine.port}",
        "x-request-id": REQUEST_ID,
        "content-type": "chemical/x-pdb",
        "content-encoding": "br",
        "accept-encoding": "br",
        "x-own": "yes",
        "accept": "*/*",
        "user-agent": httpx.Client().headers["User-Agent"],
        "content-length": "5",
    }


def test_proxy_adds_only_host_and_request_id(all_servers: Servers, engine: RunningEngine) -> None:
    for server in all_servers.values():
        response = exchange(server, request_bytes(server, "GET /nim/x HTTP/1.1"))
        assert set(headers_of(json.loads(body_of(response)))) == {"host", "x-request-id"}


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_request_without_body_has_content_length_zero(all_servers: Servers, method: str) -> None:
    assert headers_of(echo(all_servers, method, "/nim/x"))["content-length"] == "0"


def test_chunked_body_is_forwarded_chunked(all_servers: Servers) -> None:
    for server in all_servers.values():
        response = server.client.post("/nim/x", content=iter([b"one", b"two" * 1000])).json()
        assert (response["size"], response["body"][:6]) == (3003, "onetwo")
        assert headers_of(response)["transfer-encoding"] == "chunked"
        assert "content-length" not in headers_of(response)


def test_expect_100_continue_is_served(all_servers: Servers) -> None:
    for server in all_servers.values():
        head = request_bytes(server, "PUT /nim/x HTTP/1.1", "Expect: 100-continue", "Content-Length: 3")
        response = exchange(server, head, b"abc")
        whole = response.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"", 1)
        if not whole:
            continue
        assert status_of(whole) == 200


# Responses


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 401, 404, 405, 418, 422, 429, 500, 503, 599])
def test_client_receives_the_engine_status(all_servers: Servers, status: int, method: str) -> None:
    response = assert_same_response(all_servers, method, f"/nim/status/{status}")
    assert response.status == status
    assert response.body == (b"" if status in (204, 304) else b'{"status": %d}' % status)


def test_client_receives_end_to_end_headers_only(server: RunningServer) -> None:
    with server.client.stream("GET", "/nim/fields", headers={"X-Request-ID": REQUEST_ID}) as response:
        raw = b"".join(response.iter_raw())
    assert zlib.decompress(raw, 31) == b"packed"
    assert len(response.headers.get_list("x-drum-model")) == 1
    left_out = ("connection", "server", "x-drum-model")
    own = [(name, value) for name, value in response.headers.multi_items() if name not in left_out]
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


def test_engine_cookie_is_not_shared_between_clients(all_servers: Servers) -> None:
    for server in all_servers.values():
        httpx.get(server.url + "/nim/fields", trust_env=False)
        response = httpx.get(server.url + "/nim/x", trust_env=False).json()
        assert "cookie" not in headers_of(response)


AMBIGUOUS_RESPONSES = {
    "status 999": b"HTTP/1.1 999 X\r\nContent-Length: 2\r\n\r\nab",
    "status 600": b"HTTP/1.1 600 X\r\nContent-Length: 2\r\n\r\nab",
    "status 101": b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "status 099": b"HTTP/1.1 099 X\r\nContent-Length: 2\r\n\r\nab",
    "gzip, chunked": b"HTTP/1.1 200 X\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "gzip": b"HTTP/1.1 200 X\r\nTransfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
    "xchunked": b"HTTP/1.1 200 X\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "length and chunked": b"HTTP/1.1 200 X\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nab\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 X\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "line break in a header": b"HTTP/1.1 200 X\r\nA: b\rSet-Cookie: c=d\r\nContent-Length: 2\r\n\r\nab",
}


@pytest.mark.parametrize("data", AMBIGUOUS_RESPONSES.values(), ids=AMBIGUOUS_RESPONSES)
def test_ambiguous_engine_response_is_a_bad_gateway(all_servers: Servers, engine: RunningEngine, data: bytes) -> None:
    response = assert_same_response(all_servers, "POST", "/nim/raw", content=data)
    assert response.status == 502
    assert str(engine.port).encode() not in response.body and b"127.0.0.1" not in response.body
    assert assert_same_response(all_servers, "GET", "/nim/x").status == 200


@pytest.mark.parametrize("framing", [b"Content-Length: 2\r\n\r\nab", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])
def test_bytes_behind_a_response_do_not_reach_the_next_client(all_servers: Servers, framing: bytes) -> None:
    excess = b"HTTP/1.1 200 X\r\nContent-Length: 6\r\n\r\nexcess"
    for server in all_servers.values():
        first = server.client.post("/nim/raw", content=b"HTTP/1.1 200 X\r\n" + framing + excess)
        assert (first.status_code, first.content) == (200, b"ab" if b"ab" in framing else b"")
        assert [server.client.get(f"/nim/{number}").json()["target"] for number in range(3)] == ["/0", "/1", "/2"]


def test_engine_connection_is_reused(all_servers: Servers) -> None:
    """Otherwise the transport would take every response for one with excess bytes."""
    for server in all_servers.values():
        ports = {server.client.get("/nim/port").json()["port"] for _ in range(5)}
        assert len(ports) < 5


@pytest.mark.parametrize("path", ["/nim/x", "/nim/status/404"])
def test_head_response_has_no_body(all_servers: Servers, path: str) -> None:
    response = assert_same_response(all_servers, "HEAD", path)
    assert (response.status, response.body) == (404 if "404" in path else 200, b"")
    assert int(dict(response.headers)["content-length"]) > 0


def test_redirect_is_returned_to_the_client(all_servers: Servers) -> None:
    response = assert_same_response(all_servers, "POST", "/nim/redirect", content=b"x")
    assert (response.status, dict(response.headers)["location"]) == (307, "http://127.0.0.1:9/elsewhere")


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/nim", "/nim/x", "/directAccess/x/"])
def test_other_methods_return_405(all_servers: Servers, method: str, path: str) -> None:
    response = assert_same_response(all_servers, method, path)
    assert (response.status, dict(response.headers)["allow"]) == (405, "GET, HEAD, POST, PUT")


@pytest.mark.parametrize("path", ["/nim/mute", "/nim/nonsense"])
def test_invalid_engine_response_is_a_bad_gateway(all_servers: Servers, path: str) -> None:
    response = assert_same_response(all_servers, "GET", path)
    assert response.status == 502
    assert b"broke off" in response.body
