"""Responses of a failing model, and how unusual but valid output is encoded."""

import re

import httpx
import pytest

from tests.api.all_servers import Servers
from tests.api.responses import Response, assert_same_response
from tests.api.test_payloads import message
from tests.cases import each_case
from tests.processes import RunningServer

pytestmark = pytest.mark.process

USER_ERROR = "x-drum-user-http-error"


def act(all_servers: Servers, action: str, rows: int = 3) -> Response:
    """Have the model do something with a table of some rows."""
    body = "action\n" + f"{action}\n" * rows
    response = assert_same_response(all_servers, "POST", "/predict/", content=body.encode())
    assert b"Traceback" not in response.body
    assert b"custom.py" not in response.body
    return response


@each_case(
    ("action", "text"),
    [
        ("raise", "ValueError: the model said no"),
        ("raise-empty", "ValueError"),
        ("raise-unicode", "ValueError: täxt 日本 \U0001f600 ? \x00"),
        ("raise-memory", "MemoryError: no room"),
        ("raise-deeply", "RuntimeError: outer"),
        ("recurse", "RecursionError: "),
        ("exit", "SystemExit: 3"),
    ],
)
def test_a_hook_error_is_returned_without_its_traceback(echo_servers: Servers, action: str, text: str) -> None:
    response = act(echo_servers, action)
    assert response.status == 500
    assert message(response).startswith(f"ERROR: {text}")
    assert USER_ERROR not in dict(response.headers)


def test_the_log_names_the_place_in_the_model_first(server: RunningServer) -> None:
    headers = {"X-Request-ID": "find-this"}
    server.client.post("/predict/", content=b"action\nraise-deeply\n", headers=headers)
    line = r"ERROR \S+: custom\.py, line \d+, in fail_deeply \(hook score\): RuntimeError: outer request_id=find-this\n"
    server.wait_until(lambda: bool(re.search(line, server.log())), "place")


def test_the_log_names_the_reason_of_a_client_error(server: RunningServer) -> None:
    server.client.post("/predict/", content=b"action\n", headers={"X-Request-ID": "find-that"})
    line = r"INFO \S+: Responded 422: The csv has a header but no data rows\..* request_id=find-that\n"
    server.wait_until(lambda: bool(re.search(line, server.log())), "reason")


def test_the_log_has_the_traceback(server: RunningServer) -> None:
    server.client.post("/predict/", content=b"action\nraise-deeply\n")
    server.wait_until(lambda: "in fail_deeply" in server.log(), "traceback")


@each_case(
    ("action", "text"),
    [
        ("short", "1 rows of predictions for 3 rows"),
        ("none", "returned None"),
        ("text", "numeric"),
        ("extra-object", "column 'thing', row 1 that JSON cannot carry"),
        ("extra-surrogate", "column 'text', row 1 that JSON cannot carry"),
    ],
)
def test_invalid_output_gets_500(echo_servers: Servers, action: str, text: str) -> None:
    response = act(echo_servers, action)
    assert response.status == 500
    assert text in message(response)


@each_case(
    ("action", "status", "text"),
    [
        ("http-418", 418, "short and stout"),
        ("http-400", 400, "täxt 日本"),
        ("http-429", 429, "slow down"),
        ("http-599", 599, ""),
    ],
)
def test_a_custom_http_error_sets_the_response(echo_servers: Servers, action: str, status: int, text: str) -> None:
    response = act(echo_servers, action)
    headers = dict(response.headers)
    assert (response.status, headers[USER_ERROR]) == (status, "true")
    assert httpx.Response(status, content=response.body).json() == {"message": text}
    assert headers.get("retry-after") == ("7" if action == "http-429" else None)


def test_a_base_exception_fails_only_its_request(echo_servers: Servers) -> None:
    response = act(echo_servers, "raise-strange")
    assert response.status == 500
    assert "Strange" in message(response)


def test_missing_and_infinite_predictions_become_null(echo_servers: Servers) -> None:
    assert act(echo_servers, "nan").body == b'{"predictions":[null,null,null]}'


def test_numbers_keep_full_precision(echo_servers: Servers) -> None:
    predictions = httpx.Response(200, content=act(echo_servers, "precise").body).json()["predictions"]
    assert predictions == [0.1 + 0.2, 1e-320, 1.7976931348623157e308]


def test_whole_numbers_of_any_size_are_numbers(echo_servers: Servers) -> None:
    response = act(echo_servers, "extra-large")
    assert response.status == 200
    assert b'"extraModelOutput":[{"number":1180591620717411303424},{"number":1},{"number":1}]' in response.body


def test_further_columns_become_extra_model_output(echo_servers: Servers) -> None:
    document = httpx.Response(200, content=act(echo_servers, "extra").body).json()
    assert document["predictions"] == [1.5, 1.5, 1.5]
    first, second, third = document["extraModelOutput"]
    assert first == {
        "whole": 1,
        "broken": 1.5,
        "text": "a",
        "when": "2024-01-02T00:00:00",
        "truth": True,
        "nested": {"a": [1, 2]},
        "ünï": 0,
    }
    assert (second["broken"], second["text"], second["when"], second["nested"]) == (None, None, None, [])
    assert (third["broken"], third["text"], third["nested"]) == (None, "日本", None)


@each_case("action", ["exit", "raise-strange"])
def test_a_server_survives_model_errors(server: RunningServer, action: str) -> None:
    def pid() -> int:
        return int(server.client.get("/stats/").json()["drum_info"][-1]["pid"])

    before = pid()
    for _ in range(3):
        server.client.post("/predict/", content=f"action\n{action}\n".encode())
    assert pid() == before
