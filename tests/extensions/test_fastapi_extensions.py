"""Every ordinary way to extend a FastAPI app, with every kind of request."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from datarobot_drum.drum.serving.routes import ROUTES, path_variants
from tests.cases import each_case
from tests.extensions.request_kinds import (
    KINDS,
    PREDICTIONS,
    ROWS,
    Case,
    Outcome,
    assert_keeps_responses,
    parse_json,
    predict,
    send,
)
from tests.extensions.servers import ExtendedServer, Servers, running_servers
from tests.processes import PLAIN

pytestmark = pytest.mark.process

KEY = {"X-Key": "the-key"}
PAGE = {"Origin": "https://page.example"}
ROOT = Path(__file__).parents[2]


CASES = [
    Case("http_middleware", marks={"X-Function": "seen"}),
    Case("body_reader"),
    Case("receive_timeout", marks={"X-Limited": "yes"}),
    Case("starlette_middleware", PAGE, {"Access-Control-Allow-Origin": "https://page.example"}),
    Case("app_dependency", KEY),
    Case("own_routes", own_kinds=frozenset({"not found"})),
    Case("catch_all", own_kinds=frozenset({"not found"})),
    Case("prometheus"),
    Case("opentelemetry_spans"),
    Case("rate_limit"),
]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("fastapi")
    with running_servers(folder, "fastapi", [case.extension for case in CASES]) as running:
        yield running


@pytest.fixture(scope="module")
def given_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExtendedServer]:
    """A server of an app with dependencies that was given to ``PredictionServer``."""
    command = [sys.executable, "-m", "tests.extensions.given_app", "{port}"]
    with ExtendedServer(tmp_path_factory.mktemp("given"), "fastapi", command=command, working_folder=ROOT) as server:
        server.wait_ready()
        yield server
        server.send_signal(signal.SIGTERM)
        server.wait()  # uvicorn ends by the signal itself


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.extension)
def test_extension_keeps_responses(
    servers: Servers, case: Case, plain: dict[str, Outcome], subtests: pytest.Subtests
) -> None:
    assert_keeps_responses(servers[case.extension], case, plain, subtests)


@each_case(("kind", "method"), [("small", "POST"), ("stream", "POST"), ("not found", "GET")])
def test_base_http_middleware_sees_request(servers: Servers, kind: str, method: str) -> None:
    assert KINDS[kind](servers["http_middleware"], {}).headers["X-Class"] == method


def test_body_that_was_read_is_predicted(servers: Servers, plain: dict[str, Outcome]) -> None:
    read, unread = (predict(servers["body_reader"], headers) for headers in ({}, {"X-Do-Not-Read": "1"}))
    assert read == unread == plain["small"]
    assert (read.headers["X-Read-Bytes"], unread.headers["X-Read-Bytes"]) == (str(len(ROWS)), "0")


def test_preflight_is_answered(servers: Servers) -> None:
    headers = {**PAGE, "Access-Control-Request-Method": "POST"}
    for path in ("/predict/", "/predictionsStream/", "/chat/completions"):
        outcome = send(servers["starlette_middleware"], "OPTIONS", path, headers)
        assert (path, outcome.status, outcome.headers["Access-Control-Allow-Methods"]) == (path, 200, "POST")


@each_case("kind", ["small", "stream", "20 MB"])
def test_response_is_compressed(servers: Servers, kind: str, plain: dict[str, Outcome]) -> None:
    outcome = KINDS[kind](servers["starlette_middleware"], {"Accept-Encoding": "gzip"})
    assert outcome == plain[kind]
    assert outcome.headers["Content-Encoding"] == "gzip"


def test_host_is_checked(servers: Servers) -> None:
    assert predict(servers["starlette_middleware"], {"Host": "elsewhere.example"}).status == 400


def test_session_is_kept(servers: Servers) -> None:
    with httpx.Client(base_url=servers["starlette_middleware"].url, timeout=60.0, **PLAIN) as client:
        assert [client.get("/visits").json() for _ in range(2)] == [1, 2]


def _responses_without_key(server: ExtendedServer) -> dict[tuple[str, str], int]:
    tried = {(route.method, path) for route in ROUTES for path in path_variants(route, "")}
    return {case: send(server, *case, {}).status for case in sorted(tried)}


def _unguarded(server: ExtendedServer) -> dict[tuple[str, str], int]:
    return {case: status for case, status in _responses_without_key(server).items() if status != 401}


def test_app_dependency_guards_every_route(servers: Servers) -> None:
    assert _unguarded(servers["app_dependency"]) == {}


def test_dependency_of_given_app_guards_every_route(given_app: ExtendedServer) -> None:
    assert _unguarded(given_app) == {}
    assert predict(given_app, KEY).status == 200


def test_prediction_without_key_is_refused(servers: Servers) -> None:
    server = servers["app_dependency"]
    statuses = {kind: KINDS[kind](server, {}).status for kind in PREDICTIONS if "disconnect" not in kind}
    assert statuses == dict.fromkeys(statuses, 401)


@each_case(
    ("path", "headers", "status", "document"),
    [
        ("/private/hello", KEY, 200, "hello"),
        ("/private/hello", {"X-Key": "wrong"}, 403, {"handled": "HTTPException", "code": 403}),
        ("/mounted/hello", {}, 200, "mounted"),
        ("/own-error", {}, 409, {"handled": "mine"}),
        ("/unexpected", {}, 500, {"handled": "ZeroDivisionError"}),
        ("/teapot", {}, 418, {"handled": "HTTPException", "code": 418}),
        ("/nothing", {}, 404, {"handled": "HTTPException", "code": 404}),
    ],
)
def test_own_routes_and_exception_handlers_respond(
    servers: Servers, path: str, headers: dict[str, str], status: int, document: Any
) -> None:
    outcome = send(servers["own_routes"], "GET", path, headers)
    assert (outcome.status, parse_json(outcome)) == (status, document)


def test_router_security_guards_its_own_routes_only(servers: Servers) -> None:
    assert send(servers["own_routes"], "GET", "/private/hello", {}).status in (401, 403)
    assert predict(servers["own_routes"], {}).status == 200


def test_route_of_extension_wins_on_equal_path(servers: Servers) -> None:
    server = servers["own_routes"]
    assert parse_json(send(server, "GET", "/capabilities/", {})) == {"from": "extension"}
    assert "from" not in parse_json(send(server, "GET", "/capabilities", {}))


def test_catch_all_serves_other_paths(servers: Servers) -> None:
    assert parse_json(send(servers["catch_all"], "GET", "/nothing", {})) == "page nothing"


def test_prediction_errors_stay_those_of_the_server(servers: Servers) -> None:
    outcome = predict(servers["own_routes"], {}, b"no,such,column\n1,2,3\n")
    assert outcome.status == 500
    assert parse_json(outcome)["message"].startswith("ERROR: KeyError")


def test_lifespan_startup_and_background_work_run(servers: Servers) -> None:
    server = servers["own_routes"]
    assert parse_json(send(server, "POST", "/background", {})) == "begun"
    assert {"lifespan", "task"} <= set(parse_json(send(server, "GET", "/log", {})))
    server.wait_until(lambda: "background task" in parse_json(send(server, "GET", "/log", {})), "background task")


def test_websocket_route_echoes(servers: Servers) -> None:
    with connect(f"ws://127.0.0.1:{servers['own_routes'].port}/echo", proxy=None) as websocket:
        websocket.send("hello")
        assert websocket.recv() == "hello"


def test_unknown_websocket_is_refused(servers: Servers) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(f"ws://127.0.0.1:{servers[''].port}/predict/", proxy=None),
    ):
        pass
    assert refused.value.response.status_code == 403
    assert predict(servers[""], {}).status == 200


def test_lifespan_ends_before_the_process(tmp_path: Path) -> None:
    with ExtendedServer(tmp_path, "fastapi", "own_routes") as server:
        server.wait_ready()
        server.stop(signal.SIGTERM)
        assert "lifespan has ended" in server.log()


def test_prometheus_counts_routes_by_path(servers: Servers) -> None:
    server = servers["prometheus"]
    assert predict(server, {}).status == 200
    metrics = send(server, "GET", "/metrics", {}).body.decode()
    assert 'http_requests_total{handler="/predict/",method="POST",status="2xx"}' in metrics


def test_opentelemetry_names_spans_by_route(servers: Servers) -> None:
    server = servers["opentelemetry_spans"]
    assert predict(server, {}).status == 200
    assert "POST /predict/" in parse_json(send(server, "GET", "/spans", {}))


def test_limit_is_enforced_per_route(servers: Servers) -> None:
    server, client = servers["rate_limit"], {"X-Client": "one"}
    outcomes = [predict(server, client) for _ in range(3)]
    assert [outcome.status for outcome in outcomes] == [200, 200, 429]
    assert outcomes[0].headers["X-RateLimit-Remaining"] == "1"
    assert send(server, "GET", "/info/", client).status == 200
    assert predict(server, {"X-Client": "another"}).status == 200
