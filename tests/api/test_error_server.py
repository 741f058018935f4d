"""``--with-error-server``: the error of a model that failed to load is the response to every request."""

import httpx
import pytest

from datarobot_drum import __version__
from tests.api.all_servers import Servers
from tests.api.responses import assert_same_response
from tests.api.test_payloads import message
from tests.cases import each_case

pytestmark = pytest.mark.process


def test_status_routes_return_the_load_error(error_servers: Servers) -> None:
    for path in ("/", "/ping", "/ping/", "/health", "/health/"):
        response = assert_same_response(error_servers, "GET", path)
        assert (path, response.status) == (path, 513)
        assert "module_that_nobody_has" in message(response)


@each_case(
    ("path", "content"),
    [("/predict/", b"a\n1\n"), ("/predictions/", b""), ("/invocations", b"x" * 1_000_000)],
    ids=["csv", "empty", "large"],
)
def test_predictions_return_the_load_error(error_servers: Servers, path: str, content: bytes) -> None:
    response = assert_same_response(error_servers, "POST", path, content=content)
    load_error = assert_same_response(error_servers, "GET", "/")
    assert (response.status, message(response)) == (load_error.status, message(load_error))


def test_the_process_is_alive_but_not_ready(error_servers: Servers) -> None:
    alive, ready = (assert_same_response(error_servers, "GET", path) for path in ("/livez", "/readyz"))
    assert (alive.status, alive.body) == (200, b'{"status":"alive"}')
    document = httpx.Response(ready.status, content=ready.body).json()
    cause = assert_same_response(error_servers, "GET", "/").body
    assert (ready.status, document.pop("message")) == (503, httpx.Response(513, content=cause).json()["message"])
    assert document == {"status": "not ready", "reason": "model failed to load"}
    assert dict(ready.headers)["retry-after"] == "5"


def test_information_routes_respond(broken_client: httpx.Client) -> None:
    for path in ("/info/", "/stats/", "/capabilities/"):
        assert (path, broken_client.get(path).status_code) == (path, 200)


def test_info_describes_the_model(broken_client: httpx.Client, server_type: str) -> None:
    info = broken_client.get("/info/").json()
    assert (info["drumServer"], info["targetType"], info["predictor"]) == (server_type, "regression", "custom")


@each_case(("method", "path", "status"), [("GET", "/nothing", 404), ("PUT", "/predict/", 405)])
def test_routing_errors_keep_their_status(error_servers: Servers, method: str, path: str, status: int) -> None:
    assert assert_same_response(error_servers, method, path).status == status


def test_head_returns_the_status(error_servers: Servers) -> None:
    response = assert_same_response(error_servers, "HEAD", "/ping")
    assert (response.status, response.body) == (513, b"")


def test_errors_have_the_standard_headers(broken_client: httpx.Client) -> None:
    response = broken_client.get("/", headers={"X-Request-ID": "a"})
    assert (response.headers["X-Drum-Version"], response.headers["X-Request-ID"]) == (__version__, "a")
