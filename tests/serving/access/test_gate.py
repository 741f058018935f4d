"""The decision about a request: keys, probes, preflights, limits and their order."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import TooManyRequests, Unauthorized
from datarobot_drum.drum.serving.access.gate import RPC, WEBSOCKET, AccessGate, AccessRequest, Decision
from datarobot_drum.drum.serving.error_formats import error_formats_by_path
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.serving.messages import ModelResponse
from datarobot_drum.drum.serving.routes import ROUTES, probe_paths, with_platform_paths
from datarobot_drum.drum.settings.access import AccessSettings, RateLimit
from tests.cases import each_case

KEY, OTHER = "a-key-of-the-tests-01", "a-key-of-the-tests-02"
ORIGIN = "https://app.example.com"
PREFIX = "/x"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}


def new_gate(**settings: Any) -> AccessGate:
    values = {"keys": (KEY, OTHER), **settings}
    return AccessGate(AccessSettings(**values), probe_paths(PREFIX), frozenset({"/live"}), PREFIX)


def decide(
    gate: AccessGate, method: str, path: str, headers: Mapping[str, str] | None = None, address: str = "10.0.0.1"
) -> Decision:
    return gate.decide(AccessRequest(method, path, Headers((headers or {}).items()).get, address))


def status(decision: Decision) -> int:
    """Return the status of the gate's own response; 0 if it passes the request on."""
    return 0 if decision.response is None else decision.response.status


@each_case("path", ["/x", "/x/", "/x/ping", "/x/ping/", "/x/livez", "/x/readyz", "/x/v2/health/live"])
def test_probes_need_no_key(path: str) -> None:
    gate = new_gate(rate_limit=RateLimit(1, 60.0))
    for _ in range(3):
        assert status(decide(gate, "GET", path)) == status(decide(gate, "HEAD", path)) == 0
        assert status(decide(gate, "GET", f"//{path}")) == 0
    assert status(decide(gate, "POST", path)) == 401


def test_a_page_without_a_key_is_the_gates_own() -> None:
    """An extension's route of the same path is not reached."""
    page = ModelResponse(b"page")
    gate = AccessGate(AccessSettings(keys=(KEY,)), frozenset(), open_pages={"/x/playground": lambda request: page})
    for method in ("GET", "HEAD"):
        assert decide(gate, method, "/x/playground").response is page
        assert decide(gate, method, "/x/playground", {"X-API-Key": "wrong"}).response is page
    assert status(decide(gate, "GET", "/x/playground", {"X-API-Key": KEY})) == 0
    assert {status(decide(gate, "POST", path)) for path in ("/x/playground", "/x/playground/a")} == {401}


@each_case(
    "path",
    [
        "/x/predict/",
        "/x/ping/../predict/",
        "/x/ping/x",
        "/x/PING",
        "/x//ping",
        "/x/ping//",
        "/x/ping;a",
        "/x/ping\n",
        "/x/ping ",
        "/ping",
        "/",
        "//",
        "",
        "/x/nothing",
        "/x/info/",
        "/x/v2/models/a/ready",
        "/live",
    ],
)
def test_every_other_path_needs_a_key(path: str) -> None:
    for method in ("GET", "HEAD", "POST", "OPTIONS", WEBSOCKET):
        assert status(decide(new_gate(), method, path)) == 401


@given(st.text(), st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "get", WEBSOCKET, RPC, ""]))
def test_only_known_paths_are_open(path: str, method: str) -> None:
    is_probe = method in ("GET", "HEAD") and f"/{path.lstrip('/')}" in probe_paths(PREFIX)
    is_rpc_probe = method == RPC and f"/{path.lstrip('/')}" == "/live"
    assert status(decide(new_gate(), method, path)) == (0 if is_probe or is_rpc_probe else 401)


@each_case("headers", [{"Authorization": f"Bearer {KEY}"}, {"X-API-Key": OTHER}])
def test_a_valid_key_passes_and_its_header_is_removed(headers: dict[str, str]) -> None:
    decision = decide(new_gate(), "POST", "/x/predict/", headers)
    assert decision == Decision(key_headers=frozenset(name.lower() for name in headers))


def test_another_credential_stays() -> None:
    headers = {"Authorization": "Bearer of-the-extension", "X-API-Key": KEY}
    assert decide(new_gate(), "GET", "/x/info/", headers).key_headers == {"x-api-key"}
    headers = {"Authorization": f"Bearer {KEY}", "X-API-Key": "of-the-extension"}
    assert decide(new_gate(), "GET", "/x/info/", headers).key_headers == {"authorization"}


@each_case(
    ("path", "body"),
    [
        ("/x/predict/", {"message": "ERROR: The API key is not valid."}),
        ("/x/v2/models/a/infer", {"error": "The API key is not valid."}),
        (
            "/x/v1/models",
            {
                "message": "ERROR: The API key is not valid.",
                "error": {
                    "message": "The API key is not valid.",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": "invalid_api_key",
                },
            },
        ),
    ],
)
def test_the_error_has_the_form_of_the_route(path: str, body: dict[str, Any]) -> None:
    response = decide(new_gate(), "POST", path, {"X-API-Key": "wrong"}).response
    assert response is not None and isinstance(response.content, bytes)
    assert orjson.loads(response.content) == body
    assert response.headers == {"WWW-Authenticate": "Bearer"}


def test_the_error_has_the_form_of_a_route_that_its_path_does_not_show() -> None:
    formats = error_formats_by_path(with_platform_paths(ROUTES, PREFIX, "", "/vertex"), PREFIX)
    gate = AccessGate(AccessSettings(keys=(KEY,)), frozenset(), frozenset(), PREFIX, formats)
    for path, key in (("/x/invocations", "error_code"), ("/vertex", "error")):
        response = decide(gate, "POST", path).response
        assert response is not None and isinstance(response.content, bytes)
        assert key in orjson.loads(response.content)


def test_each_key_has_a_limit_of_its_own() -> None:
    gate = new_gate(rate_limit=RateLimit(2, 60.0))
    first, second = {"X-API-Key": KEY}, {"Authorization": f"Bearer {OTHER}"}
    assert [status(decide(gate, "GET", "/x/info/", first)) for _ in range(3)] == [0, 0, 429]
    assert status(decide(gate, "GET", "/x/info/", first, "10.0.0.2")) == 429
    assert status(decide(gate, "GET", "/x/info/", {"Authorization": f"Bearer {KEY}"})) == 429
    assert status(decide(gate, "GET", "/x/info/", second)) == 0
    assert status(decide(gate, "GET", "/x/ping")) == 0


def test_wrong_keys_count_for_the_address() -> None:
    gate = new_gate(rate_limit=RateLimit(2, 60.0))
    guesses = [status(decide(gate, "GET", "/x/info/", {"X-API-Key": f"guess {number}"})) for number in range(4)]
    assert guesses == [401, 401, 429, 429]
    assert status(decide(gate, "GET", "/x/info/", address="10.0.0.2")) == 401
    assert status(decide(gate, "GET", "/x/info/", {"X-API-Key": KEY})) == 0


def test_without_keys_each_address_has_a_limit() -> None:
    gate = new_gate(keys=(), rate_limit=RateLimit(1, 60.0))
    decisions = [decide(gate, "GET", "/x/info/", {"X-API-Key": f"any {number}"}) for number in range(2)]
    assert [status(decision) for decision in decisions] == [0, 429]
    response = decisions[1].response
    assert response is not None and isinstance(response.content, bytes)
    assert response.headers == {"Retry-After": "60"}
    assert orjson.loads(response.content) == {
        "message": "Too many requests: the limit is 1/minute. Please retry later.",
        "error": "TOO_MANY_REQUESTS",
        "retry_after": 60,
    }
    assert status(decide(gate, "GET", "/x/info/", address="10.0.0.2")) == 0


def test_a_preflight_needs_no_key_and_reaches_no_route() -> None:
    gate = new_gate(cors_origins=frozenset({ORIGIN}), rate_limit=RateLimit(1, 60.0))
    headers = {**PREFLIGHT, "Access-Control-Request-Headers": "authorization, x-api-key"}
    for path in ("/x/predict/", "/nothing", "/x/ping"):
        response = decide(gate, "OPTIONS", path, headers).response
        assert response is not None
        assert (response.status, response.content) == (204, b"")
        assert response.headers == {
            "Access-Control-Allow-Origin": ORIGIN,
            "Access-Control-Allow-Methods": "DELETE, GET, HEAD, PATCH, POST, PUT",
            "Access-Control-Allow-Headers": "authorization, x-api-key",
            "Access-Control-Max-Age": "600",
            "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        }


def test_preflights_are_not_answered_by_default() -> None:
    assert status(decide(new_gate(), "OPTIONS", "/x/predict/", PREFLIGHT)) == 401


@each_case(
    "origin", ["https://evil.example", f"{ORIGIN}.evil.example", f"{ORIGIN}/", ORIGIN.upper(), "null", f"{ORIGIN}:443"]
)
def test_other_origins_are_rejected(origin: str) -> None:
    gate = new_gate(cors_origins=frozenset({ORIGIN}))
    decision = decide(gate, "OPTIONS", "/x/predict/", {**PREFLIGHT, "Origin": origin})
    assert (status(decision), decision.cors_headers) == (403, (("Vary", "Origin"),))
    decision = decide(gate, "POST", "/x/predict/", {"Origin": origin, "X-API-Key": KEY})
    assert (status(decision), decision.cors_headers) == (0, (("Vary", "Origin"),))


@each_case("headers", [{}, {"Origin": ORIGIN}, {"Access-Control-Request-Method": "POST"}])
def test_options_that_are_no_preflight_need_a_key(headers: dict[str, str]) -> None:
    gate = new_gate(cors_origins=frozenset({ORIGIN}))
    assert status(decide(gate, "OPTIONS", "/x/predict/", headers)) == 401
    assert status(decide(gate, "OPTIONS", "/x/predict/", {**headers, "X-API-Key": KEY})) == 0


def test_errors_have_cors_headers_so_that_pages_can_read_them() -> None:
    decision = decide(new_gate(cors_origins=frozenset({ORIGIN})), "POST", "/x/predict/", {"Origin": ORIGIN})
    assert status(decision) == 401
    assert dict(decision.cors_headers)["Access-Control-Allow-Origin"] == ORIGIN


def test_all_origins_are_allowed_without_credentials() -> None:
    gate = new_gate(keys=(), cors_origins=frozenset({"*"}))
    for origin in (ORIGIN, "null"):
        headers = dict(decide(gate, "GET", "/x/info/", {"Origin": origin}).cors_headers)
        assert headers.pop("Access-Control-Expose-Headers")
        assert headers == {"Access-Control-Allow-Origin": "*"}
    assert decide(gate, "GET", "/x/info/").cors_headers == ()


def test_headers_of_an_extension_are_kept() -> None:
    decision = decide(new_gate(keys=(), cors_origins=frozenset({ORIGIN})), "GET", "/x/info/", {"Origin": ORIGIN})
    assert decision.headers_to_add(["content-type", "access-control-allow-origin"]) == ()
    assert decision.headers_to_add(["content-type"]) == decision.cors_headers


@each_case("requested", ["a b", "a,,b", "a\r\nb: c", "é", ","])
def test_no_header_is_split_by_a_preflight(requested: str) -> None:
    gate = new_gate(cors_origins=frozenset({ORIGIN}))
    response = decide(gate, "OPTIONS", "/x/", {**PREFLIGHT, "Access-Control-Request-Headers": requested}).response
    assert response is not None and "Access-Control-Allow-Headers" not in response.headers


def test_rpc_calls_raise() -> None:
    gate = new_gate(rate_limit=RateLimit(1, 60.0))
    gate.admit(AccessRequest(RPC, "/live", Headers().get, ""))
    with pytest.raises(Unauthorized):
        gate.admit(AccessRequest(RPC, "/infer", Headers().get, "10.0.0.1"))
    with pytest.raises(TooManyRequests):
        gate.admit(AccessRequest(RPC, "/infer", Headers().get, "10.0.0.1"))
