"""Every ordinary way to extend a Flask app, with every kind of request, on Flask's server and gunicorn."""

from collections.abc import Iterator
from typing import Any

import pytest

from datarobot_drum.drum.serving.routes import ROUTES, path_variants
from tests.extensions.request_kinds import (
    CSV,
    KINDS,
    PREDICTIONS,
    ROWS,
    Case,
    Outcome,
    assert_keeps_responses,
    parse_json,
    predict,
    predict_multipart,
    send,
)
from tests.extensions.servers import ExtendedServer, Servers, running_servers

pytestmark = pytest.mark.process

KEY = {"Authorization": "Bearer the-key"}
PAGE = {"Origin": "https://page.example"}


HOOKS = Case("hooks", marks={"X-Saw": "before, after"})
BODY_READERS = Case("body_readers")
OWN_ROUTES = Case("own_routes", own_kinds=frozenset({"not found"}))
THIRD_PARTY = Case("third_party", PAGE, {"Access-Control-Allow-Origin": "https://page.example"})
HTTP_AUTH = Case("http_auth", KEY)
WRAPPED_VIEWS = Case("wrapped_views", KEY)
CATCH_ALL = Case("catch_all", own_kinds=frozenset({"not found"}))
CASES = [HOOKS, BODY_READERS, OWN_ROUTES, CATCH_ALL, THIRD_PARTY, HTTP_AUTH, WRAPPED_VIEWS]


@pytest.fixture(scope="module", params=["flask", "gunicorn"])
def server_type(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def servers(server_type: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp(server_type)
    with running_servers(folder, server_type, [case.extension for case in CASES]) as running:
        yield running


@pytest.fixture
def server(request: pytest.FixtureRequest, servers: Servers) -> ExtendedServer:
    return servers[request.param.extension]


def on(*cases: Case) -> pytest.MarkDecorator:
    """Run a test on the servers of these extensions."""
    return pytest.mark.parametrize("server", cases, indirect=True, ids=[case.extension for case in cases])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.extension)
def test_extension_keeps_responses(
    servers: Servers, case: Case, plain: dict[str, Outcome], subtests: pytest.Subtests
) -> None:
    assert_keeps_responses(servers[case.extension], case, plain, subtests)


@on(HOOKS)
def test_teardown_function_runs_once_per_request(server: ExtendedServer) -> None:
    def torn_down() -> int:
        return int(parse_json(send(server, "GET", "/torn-down", {}))["torn_down"])

    first = torn_down()
    assert predict(server, {}).status == 200
    assert torn_down() == first + 2


@on(BODY_READERS)
@pytest.mark.parametrize("how", ["data", "stream"])
@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
def test_body_that_was_read_is_predicted(
    server: ExtendedServer, how: str, chunked: bool, plain: dict[str, Outcome]
) -> None:
    content: Any = iter([ROWS[:3], ROWS[3:]]) if chunked else ROWS
    outcome = send(server, "POST", "/predict/", {**CSV, "X-Read": how}, content=content)
    assert outcome == plain["small"]
    assert outcome.headers["X-Read-Bytes"] == str(5 if how == "stream" else len(ROWS))


@on(BODY_READERS)
def test_form_that_was_read_is_predicted(server: ExtendedServer, plain: dict[str, Outcome]) -> None:
    outcome = predict_multipart(server, {})
    assert outcome == plain["multipart"]
    assert outcome.headers["X-Read-Bytes"] == str(len(ROWS))


@on(OWN_ROUTES)
def test_own_routes_and_error_handlers_respond(server: ExtendedServer) -> None:
    expected = {
        "/pages/hello": (200, b"hello"),
        "/mounted/anything": (200, b"mounted"),
        "/pages/own-error": (409, b'{"handled":"mine"}\n'),
        "/pages/unexpected": (500, b'{"handled":"ZeroDivisionError"}\n'),
        "/pages/teapot": (418, b'{"code":418,"handled":"HTTPException"}\n'),
        "/nothing": (404, b'{"code":404,"handled":"HTTPException"}\n'),
    }
    outcomes = {path: send(server, "GET", path, {}) for path in expected}
    assert {path: (outcome.status, outcome.body) for path, outcome in outcomes.items()} == expected


@on(OWN_ROUTES)
def test_route_of_extension_wins_on_equal_path(server: ExtendedServer) -> None:
    assert parse_json(send(server, "GET", "/capabilities/", {})) == {"from": "extension"}
    assert "from" not in parse_json(send(server, "GET", "/capabilities", {}))


@on(CATCH_ALL)
def test_catch_all_serves_other_paths(server: ExtendedServer) -> None:
    assert send(server, "GET", "/nothing", {}).body == b"page nothing"


@on(OWN_ROUTES)
def test_prediction_errors_stay_those_of_the_server(server: ExtendedServer) -> None:
    outcome = predict(server, {}, b"no,such,column\n1,2,3\n")
    assert outcome.status == 500
    assert parse_json(outcome)["message"].startswith("ERROR: KeyError")


@on(THIRD_PARTY)
def test_preflight_is_answered(server: ExtendedServer) -> None:
    headers = {**PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for path in ("/predict/", "/predictionsStream/", "/chat/completions"):
        outcome = send(server, "OPTIONS", path, headers)
        assert (path, outcome.status) == (path, 200)
        assert outcome.headers["Access-Control-Allow-Origin"] == "https://page.example"
        assert "POST" in outcome.headers["Access-Control-Allow-Methods"]


@on(THIRD_PARTY)
def test_limit_is_enforced_per_route(server: ExtendedServer) -> None:
    client = {"X-Client": "one"}
    assert [predict(server, client).status for _ in range(3)] == [200, 200, 429]
    assert send(server, "GET", "/info/", client).status == 200
    assert predict(server, {"X-Client": "another"}).status == 200


@on(HTTP_AUTH, WRAPPED_VIEWS)
def test_authentication_guards_every_route(server: ExtendedServer) -> None:
    tried = {(route.method, path) for route in ROUTES for path in path_variants(route, "")}
    statuses = {case: send(server, *case, {}).status for case in sorted(tried)}
    assert {case: status for case, status in statuses.items() if status != 401} == {}


@on(HTTP_AUTH)
def test_authentication_guards_unknown_paths(server: ExtendedServer) -> None:
    assert send(server, "GET", "/nothing", {}).status == 401


@on(HTTP_AUTH, WRAPPED_VIEWS)
def test_prediction_without_token_is_refused(server: ExtendedServer) -> None:
    statuses = {kind: KINDS[kind](server, {}).status for kind in PREDICTIONS if "disconnect" not in kind}
    assert statuses == dict.fromkeys(statuses, 401)
