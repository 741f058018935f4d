"""Exceptions as responses."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from datarobot_drum.drum.exceptions import (
    BadGateway,
    BadRequest,
    CustomHTTPError,
    DeadlineExceeded,
    EngineResponseError,
    InsufficientStorage,
    ModelFailedToLoad,
    ModelNotReady,
    NotFound,
    PayloadTooLarge,
    PredictionError,
    RequestTimeout,
    ServerOverloaded,
    ServiceUnavailable,
    UnprocessableInput,
    UnsupportedContentEncoding,
)
from datarobot_drum.drum.serving.error_formats import ErrorFormat
from datarobot_drum.drum.serving.errors import USER_ERROR_HEADER, error_payload, error_response, openai_error
from datarobot_drum.drum.serving.messages import ModelResponse
from datarobot_drum.drum.serving.routing_errors import method_not_allowed, route_not_found
from datarobot_drum.runtime_parameters.masking import MASK, register_secret
from tests.cases import each_case
from tests.serving.handlers_under_test import document_of

STATUSES = [
    (BadRequest, 400),
    (NotFound, 404),
    (RequestTimeout, 408),
    (PayloadTooLarge, 413),
    (UnsupportedContentEncoding, 415),
    (UnprocessableInput, 422),
    (PredictionError, 500),
    (BadGateway, 502),
    (DeadlineExceeded, 504),
    (InsufficientStorage, 507),
    (ModelFailedToLoad, 513),
]


@each_case(("kind", "status"), STATUSES, ids=[kind.__name__ for kind, _ in STATUSES])
def test_error_of_a_request_has_its_status_and_message(kind: Any, status: int) -> None:
    response = error_response(kind("Too bad."))
    assert (response.status, document_of(response)) == (status, {"message": "ERROR: Too bad."})
    assert response.headers == {}


@each_case("error", [ServerOverloaded(), ModelNotReady()], ids=["overloaded", "not-ready"])
def test_unavailable_service_asks_for_a_retry(error: ServerOverloaded | ModelNotReady) -> None:
    response = error_response(error)
    assert (response.status, response.headers) == (503, {"Retry-After": "5"})
    assert document_of(response) == {"message": error.message, "error": "SERVICE_UNAVAILABLE", "retry_after": 5}


def test_error_chosen_by_the_model_is_marked_and_has_its_headers_as_text() -> None:
    error = CustomHTTPError("No tea.", 418, headers={"X-Tea": 1})  # type: ignore[dict-item]
    response = error_response(error)
    assert (response.status, document_of(response)) == (418, {"message": "No tea."})
    assert response.headers == {"X-Tea": "1", USER_ERROR_HEADER: "true"}


def test_unexpected_error_is_500_with_its_traceback_in_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    response = error_response(KeyError("x"))
    assert (response.status, document_of(response)) == (500, {"message": "ERROR: KeyError: 'x'"})
    (record,) = caplog.records
    assert record.levelno == logging.ERROR and record.exc_info is not None


@each_case(("error", "logged"), [(PredictionError("x"), 1), (UnprocessableInput("x"), 0)])
def test_only_server_errors_are_logged(caplog: pytest.LogCaptureFixture, error: Exception, logged: int) -> None:
    error_response(error)
    assert len(caplog.records) == logged


@each_case("error", [UnprocessableInput("a\r\nb \x1b[0m"), CustomHTTPError("a\nb \x1b[0m", 418)])
def test_client_error_is_one_escaped_line_in_the_log(
    caplog: pytest.LogCaptureFixture, error: UnprocessableInput | CustomHTTPError
) -> None:
    caplog.set_level(logging.INFO)
    error_response(error)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.INFO, f"Responded {error.status}: a b \\x1b[0m")


def test_client_error_is_masked_and_cut_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    register_secret("hunter-2")
    error_response(UnprocessableInput("hunter-2 " + "x" * 100_000))
    assert caplog.records[0].getMessage().startswith(f"Responded 422: {MASK} xxx")
    assert len(caplog.records[0].getMessage()) < 2_000


@each_case("kind", [PredictionError, ModelFailedToLoad, RuntimeError], ids=lambda kind: kind.__name__)
def test_error_of_foreign_code_loses_paths_and_stack_trace(kind: type[Exception]) -> None:
    error = kind("bad /opt/model/x.bin\nStack trace:\n [bt] (0) /lib/x.so")
    for text in (document_of(error_response(error))["message"], openai_error(error)["message"]):
        assert text.endswith("bad x.bin")


def test_message_for_clients_keeps_what_looks_like_a_path() -> None:
    assert document_of(route_not_found("/a/b/c")) == {"message": "ERROR: There is no route /a/b/c."}
    assert document_of(error_response(CustomHTTPError("see /a/b/c", 500))) == {"message": "see /a/b/c"}


@each_case(
    "error",
    [
        ValueError("hunter-2"),
        PredictionError("hunter-2"),
        ServiceUnavailable("hunter-2"),
        CustomHTTPError("hunter-2", 400),
        EngineResponseError("hunter-2", 404, {"message": "hunter-2"}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_secrets_are_masked_in_text_of_the_server(error: Exception) -> None:
    register_secret("hunter-2")
    content = error_response(error, ErrorFormat.OPENAI).content
    assert isinstance(content, bytes) and b"hunter-2" not in content and MASK.encode() in content


def test_lone_surrogates_are_replaced() -> None:
    assert document_of(error_response(BadRequest("\ud800"))) == {"message": "ERROR: ?"}
    assert openai_error(BadRequest("\ud800"))["message"] == "?"


@each_case(
    ("error", "message", "kind"),
    [
        (BadRequest("Too bad."), "Too bad.", "invalid_request_error"),
        (CustomHTTPError("No tea.", 418), "No tea.", "invalid_request_error"),
        (PredictionError("Too bad."), "Too bad.", "server_error"),
        (ValueError("Too bad."), "ValueError: Too bad.", "server_error"),
    ],
)
def test_openai_clients_get_an_error_object_beside_the_message(error: Exception, message: str, kind: str) -> None:
    document = document_of(error_response(error, ErrorFormat.OPENAI))
    assert document["message"] == error_payload(error)["message"]
    assert document["error"] == {"message": message, "type": kind, "param": None, "code": None}


def test_error_object_of_an_engine_is_forwarded() -> None:
    details = {"message": "Too long.", "type": "x", "code": 7}
    assert openai_error(EngineResponseError("Too long.", 400, details)) == details


# Routing


def test_missing_route_is_404_with_its_path_or_the_message_of_an_extension() -> None:
    response = route_not_found("/nowhere")
    assert (response.status, document_of(response)) == (404, {"message": "ERROR: There is no route /nowhere."})
    assert document_of(route_not_found("/nowhere", "No such user.")) == {"message": "ERROR: No such user."}


@each_case("path", ["/v1/models/my-llm", "/models/my-llm", "/prefix/v1/embeddings", "/v1/models/my-llm/"])
def test_missing_route_of_an_openai_client_has_the_error_object(path: str) -> None:
    document = document_of(route_not_found(path))
    assert document["message"] == f"ERROR: There is no route {path}."
    assert document["error"] == {
        "message": f"There is no route {path}.", "type": "invalid_request_error", "param": None, "code": None
    }  # fmt: skip
    assert "error" in document_of(method_not_allowed("POST", "GET", path))


def test_wrong_method_is_405_with_sorted_allow() -> None:
    response = method_not_allowed("PUT", "POST,GET , HEAD,")
    assert (response.status, response.headers) == (405, {"Allow": "GET, HEAD, POST"})
    assert document_of(response) == {"message": "ERROR: PUT is not allowed here; use GET, HEAD, POST."}


@each_case(
    "response",
    [
        lambda text: route_not_found(f"/x/{text}"),
        lambda text: route_not_found(f"/v1/{text}"),
        lambda text: method_not_allowed(text, "GET", f"/v1/{text}"),
        lambda text: error_response(UnprocessableInput(f"The charset {text!r} is not known."), ErrorFormat.OPENAI),
        lambda text: error_response(BadRequest(f"The header {text} is malformed.")),
    ],
    ids=["path", "OpenAI path", "method", "body", "header"],
)
def test_text_of_the_client_is_the_same_for_a_secret(response: Callable[[str], ModelResponse]) -> None:
    register_secret("hunter-2")
    right, wrong = response("hunter-2").content, response("hunter-3").content
    assert isinstance(right, bytes) and isinstance(wrong, bytes)
    assert right.replace(b"hunter-2", b"hunter-3") == wrong


def test_text_of_an_extension_is_masked_in_404() -> None:
    register_secret("hunter-2")
    content = route_not_found("/x", "no row hunter-2").content
    assert isinstance(content, bytes) and b"hunter-2" not in content
