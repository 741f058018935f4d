"""Every route in every spelling, and what is answered where there is none."""

import httpx
import pytest

from datarobot_drum import __version__
from tests.api.all_servers import Servers
from tests.api.conftest import PREFIX
from tests.api.responses import assert_same_response
from tests.processes import RunningServer

pytestmark = pytest.mark.process

GET_PATHS = ["/", "/ping", "/health", "/livez", "/readyz", "/info", "/stats", "/capabilities"]
POST_PATHS = ["/predict", "/predictions", "/invocations"]
BODIES = {
    "/": b'{"message":"OK"}',
    "/ping": b'{"message":"OK"}',
    "/health": b'{"message":"OK"}',
    "/livez": b'{"status":"alive"}',
    "/readyz": b'{"status":"ready"}',
}
CSV = b"a,b\n1,2\n"


def path_variants(paths: list[str]) -> list[str]:
    """With and without a trailing slash."""
    return sorted({spelling for path in paths for spelling in (path.rstrip("/") or "/", path.rstrip("/") + "/")})


@pytest.mark.parametrize("path", path_variants(GET_PATHS))
def test_a_get_route_answers_json_in_both_spellings(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert isinstance(response.json(), dict)


@pytest.mark.parametrize("path", path_variants(list(BODIES)))
def test_the_status_routes_answer_their_documented_bodies(client: httpx.Client, path: str) -> None:
    assert client.get(path).content == BODIES[path.rstrip("/") or "/"]


@pytest.mark.parametrize("path", path_variants(GET_PATHS))
def test_head_answers_as_get_without_a_body(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    if path.rstrip("/") != "/stats":
        assert head.headers["Content-Length"] == get.headers["Content-Length"]


@pytest.mark.parametrize("path", path_variants(POST_PATHS))
def test_a_prediction_route_predicts_in_both_spellings(echo_servers: Servers, path: str) -> None:
    response = assert_same_response(echo_servers, "POST", path, content=CSV, headers={"Content-Type": "text/csv"})
    assert response.status == 200
    assert response.body == assert_same_response(echo_servers, "POST", "/predict/", content=CSV).body


@pytest.mark.parametrize("path", ["//predict/", "///predict", "/predict%2F", "/%70redict"])
def test_other_forms_of_the_same_path_are_the_same_route(echo_servers: Servers, path: str) -> None:
    assert assert_same_response(echo_servers, "POST", path, content=CSV).status == 200


@pytest.mark.parametrize("path", path_variants(GET_PATHS))
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_a_get_route_allows_get_and_head_alone(echo_servers: Servers, method: str, path: str) -> None:
    response = assert_same_response(echo_servers, method, path)
    assert response.status == 405
    assert ("allow", "GET, HEAD") in response.headers
    assert b"message" in response.body


@pytest.mark.parametrize("path", path_variants(POST_PATHS))
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_prediction_route_allows_post_alone(echo_servers: Servers, method: str, path: str) -> None:
    response = assert_same_response(echo_servers, method, path)
    assert response.status == 405
    assert ("allow", "POST") in response.headers
    assert (b"message" in response.body) == (method != "HEAD")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/nothing/",
        "/predict/more",
        "/PREDICT/",
        "/predict//",
        "//nothing/",
        "/./nothing",
        "/info/../nothing",
        "/a%2Fb",
        "/a%3Fb%23c",
        "/a%20b;c=d,e",
        "/%E6%97%A5%E6%9C%AC",
        "/%FF%FE",
        "/%00",
        "/%0d%0aX-Evil:%201",
        "/model",
        "/docs/index.html",
        "/redoc",
        "/static/x",
        "/favicon.ico",
        "/<script>",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/" + "x" * 3000,
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_route_is_a_404_with_a_json_message(echo_servers: Servers, method: str, path: str) -> None:
    response = assert_same_response(echo_servers, method, path)
    assert (response.status, dict(response.headers)["content-type"]) == (404, "application/json")
    assert list(httpx.Response(404, content=response.body).json()) == ["message"]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"])
def test_an_unknown_route_is_a_404_for_every_method(echo_servers: Servers, method: str) -> None:
    response = assert_same_response(echo_servers, method, "/nothing")
    assert (response.status, response.body == b"") == (404, method == "HEAD")


@pytest.mark.parametrize("query", ["?", "?a=b", "?a=b&a=c", "?%FF=%00", "?a[]=1;b", "?" + "x" * 3000])
@pytest.mark.parametrize("path", ["/", "/ping", "/livez", "/info/", "/capabilities"])
def test_a_query_changes_nothing_on_a_status_route(client: httpx.Client, path: str, query: str) -> None:
    assert client.get(path + query).content == client.get(path).content


@pytest.mark.parametrize("path", [*GET_PATHS, "/nothing"])
def test_a_body_on_a_get_route_is_ignored(client: httpx.Client, path: str) -> None:
    plain = client.get(path)
    assert client.request("GET", path, content=b"x" * 100_000).status_code == plain.status_code


@pytest.mark.parametrize("path", path_variants([*GET_PATHS, *POST_PATHS, "/nothing"]))
def test_every_answer_carries_the_version(client: httpx.Client, path: str) -> None:
    assert client.get(path).headers.get_list("X-Drum-Version") == [__version__]


@pytest.mark.parametrize("path", ["", *path_variants(GET_PATHS)])
def test_routes_lie_below_the_prefix(raw_server: RunningServer, path: str) -> None:
    response = raw_server.client.get(raw_server.url + path)
    assert response.status_code == 200
    assert path not in ("", "/") or response.content == BODIES["/"]


@pytest.mark.parametrize("path", path_variants(POST_PATHS))
def test_prediction_routes_lie_below_the_prefix(raw_servers: Servers, path: str) -> None:
    assert assert_same_response(raw_servers, "POST", path, content=CSV).status == 200


@pytest.mark.parametrize(
    "path", [*path_variants([*GET_PATHS, *POST_PATHS]), "/a", "/a/", "/a/bc", PREFIX + PREFIX + "/"]
)
def test_nothing_is_served_outside_the_prefix(raw_servers: Servers, path: str) -> None:
    for server in raw_servers.values():
        response = server.client.get(server.url.removesuffix(PREFIX) + path)
        assert (response.status_code, list(response.json())) == (404, ["message"])


@pytest.mark.parametrize("path", ["/nim", "/nim/x", "/directAccess/", "/directAccess/../x", "/nim//x", "/nim/%0a"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
def test_a_model_without_an_engine_has_no_direct_access(echo_servers: Servers, method: str, path: str) -> None:
    assert assert_same_response(echo_servers, method, path).status == 404


def test_direct_access_allows_four_methods(echo_servers: Servers) -> None:
    response = assert_same_response(echo_servers, "DELETE", "/nim/x")
    assert (response.status, dict(response.headers)["allow"]) == (405, "GET, HEAD, POST, PUT")
