"""Every route with all its path variants, and the responses where there is none."""

import httpx
import pytest

from datarobot_drum import __version__
from tests.api.all_servers import Servers
from tests.api.conftest import PREFIX
from tests.api.responses import assert_same_response
from tests.cases import each_case
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
    return sorted({variant for path in paths for variant in (path.rstrip("/") or "/", path.rstrip("/") + "/")})


def test_get_routes_return_json_with_and_without_a_trailing_slash(client: httpx.Client) -> None:
    responses = {path: client.get(path) for path in path_variants(GET_PATHS)}
    found = {path: (response.status_code, response.headers["Content-Type"]) for path, response in responses.items()}
    assert found == dict.fromkeys(responses, (200, "application/json"))
    assert all(isinstance(response.json(), dict) for response in responses.values())


def test_status_routes_return_their_documented_bodies(client: httpx.Client) -> None:
    for path, body in BODIES.items():
        assert [client.get(variant).content for variant in path_variants([path])] == [body] * len(path_variants([path]))


def test_head_returns_the_headers_of_get_without_a_body(client: httpx.Client) -> None:
    compared = ["Content-Type", "Content-Length", "X-Drum-Version"]
    for path in path_variants(GET_PATHS):
        head, get = client.head(path), client.get(path)
        assert (path, head.status_code, head.content) == (path, 200, b"")
        names = compared[:1] if path.startswith("/stats") else compared  # numbers of other lengths a moment later
        assert [head.headers[name] for name in names] == [get.headers[name] for name in names], path


def test_prediction_routes_predict_with_and_without_a_trailing_slash(echo_servers: Servers) -> None:
    expected = assert_same_response(echo_servers, "POST", "/predict/", content=CSV)
    assert expected.status == 200
    responses = {
        path: assert_same_response(echo_servers, "POST", path, content=CSV) for path in path_variants(POST_PATHS)
    }
    assert responses == dict.fromkeys(responses, expected)


@each_case("path", ["//predict/", "///predict", "/predict%2F", "/%70redict"])
def test_equivalent_paths_reach_the_same_route(echo_servers: Servers, path: str) -> None:
    assert assert_same_response(echo_servers, "POST", path, content=CSV).status == 200


@each_case("method", ["POST", "OPTIONS", "PROPFIND"])
def test_get_routes_allow_only_get_and_head(echo_servers: Servers, method: str) -> None:
    for path in path_variants(GET_PATHS):
        response = assert_same_response(echo_servers, method, path)
        assert (path, response.status) == (path, 405)
        assert ("allow", "GET, HEAD") in response.headers
        assert b"message" in response.body


@each_case("method", ["GET", "HEAD", "PUT", "OPTIONS"])
def test_prediction_routes_allow_only_post(echo_servers: Servers, method: str) -> None:
    for path in path_variants(POST_PATHS):
        response = assert_same_response(echo_servers, method, path)
        assert (path, response.status) == (path, 405)
        assert ("allow", "POST") in response.headers
        assert (b"message" in response.body) == (method != "HEAD")


@each_case(
    "path",
    [
        "/nothing",
        "/predict/more",
        "/PREDICT/",
        "/predict//",
        "/info/../nothing",
        "/a%2Fb",
        "/%FF%FE",
        "/%00",
        "/%0d%0aX-Evil:%201",
        "/<script>",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/" + "x" * 3000,
    ],
)
def test_unknown_paths_get_404_with_a_json_message(echo_servers: Servers, path: str) -> None:
    for method in ("GET", "POST"):
        response = assert_same_response(echo_servers, method, path)
        assert (response.status, dict(response.headers)["content-type"]) == (404, "application/json")
        assert list(httpx.Response(404, content=response.body).json()) == ["message"]


def test_unknown_paths_get_404_for_every_method(echo_servers: Servers) -> None:
    for method in ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"):
        response = assert_same_response(echo_servers, method, "/nothing")
        assert (method, response.status, response.body == b"") == (method, 404, method == "HEAD")


@each_case("query", ["?a=b&a=c", "?%FF=%00", "?" + "x" * 3000])
def test_status_routes_ignore_the_query(echo_servers: Servers, query: str) -> None:
    for path in ("/", "/ping", "/livez", "/readyz/", "/capabilities"):
        with_query = assert_same_response(echo_servers, "GET", path + query)
        assert with_query == assert_same_response(echo_servers, "GET", path)


def test_get_routes_ignore_a_body(client: httpx.Client) -> None:
    for path in (*GET_PATHS, "/nothing"):
        plain = client.get(path)
        assert client.request("GET", path, content=b"x" * 100_000).status_code == plain.status_code, path


def test_every_response_has_the_version_header(client: httpx.Client) -> None:
    versions = {
        path: client.get(path).headers.get_list("X-Drum-Version")
        for path in path_variants([*GET_PATHS, *POST_PATHS, "/nothing"])
    }
    assert versions == {path: [__version__] for path in versions}


def test_get_routes_are_below_the_prefix(raw_server: RunningServer) -> None:
    statuses = {
        path: raw_server.client.get(raw_server.url + path).status_code for path in ["", *path_variants(GET_PATHS)]
    }
    assert statuses == dict.fromkeys(statuses, 200)
    assert raw_server.client.get(raw_server.url).content == BODIES["/"]


def test_prediction_routes_are_below_the_prefix(raw_servers: Servers) -> None:
    for path in path_variants(POST_PATHS):
        assert assert_same_response(raw_servers, "POST", path, content=CSV).status == 200


def test_nothing_is_served_outside_the_prefix(raw_server: RunningServer) -> None:
    root = raw_server.url.removesuffix(PREFIX)
    for path in (*path_variants([*GET_PATHS, *POST_PATHS]), "/a", "/a/", "/a/bc", PREFIX + PREFIX + "/"):
        response = raw_server.client.get(root + path)
        assert (path, response.status_code, list(response.json())) == (path, 404, ["message"])


@each_case("path", ["/nim", "/nim/x", "/directAccess/../x", "/nim/%0a"])
def test_models_without_an_engine_have_no_direct_access(echo_servers: Servers, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT"):
        assert assert_same_response(echo_servers, method, path).status == 404


def test_direct_access_allows_four_methods(echo_servers: Servers) -> None:
    response = assert_same_response(echo_servers, "DELETE", "/nim/x")
    assert (response.status, dict(response.headers)["allow"]) == (405, "GET, HEAD, POST, PUT")
