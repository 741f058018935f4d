"""The prediction handlers, called with a request: no server, no client."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datarobot_drum.drum.exceptions import (
    CustomHTTPError,
    ModelFailedToLoad,
    ModelNotReady,
    PredictionError,
    UnprocessableInput,
)
from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.language_predictors.transforms import Transformed
from datarobot_drum.drum.language_predictors.unstructured import UnstructuredOutput
from datarobot_drum.drum.serving.handlers import Handlers
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.routes import ROUTES
from datarobot_drum.drum.settings.deployment_config import DeploymentConfig
from tests.cases import each_case
from tests.multipart_responses import parse_form
from tests.serving.handlers_under_test import (
    FakePredictor,
    document_of,
    failed,
    loading,
    make_handlers,
    numbers,
    post,
    post_form,
    post_json,
)

STRUCTURED = ["regression", "binary", "multiclass", "multilabel", "anomaly", "textgeneration", "geopoint"]
TRANSFORMED = Transformed(pd.DataFrame({"a": [1.5]}), ("a",))
MODEL_ERRORS = [PredictionError("The hook raised."), CustomHTTPError("No.", 418), ValueError("not ours")]
CALLS: list[tuple[str, str, Callable[[], ModelRequest]]] = [
    ("do_predict_structured", "regression", post),
    ("do_transform", "transform", post),
    ("do_predict_unstructured", "unstructured", post),
    ("do_chat", "textgeneration", lambda: post_json({"messages": [{"role": "user", "content": "Hi"}]})),
]
every_call = pytest.mark.parametrize(("handler", "target_type", "request_for"), CALLS, ids=[call[0] for call in CALLS])


def call(handlers: Handlers, handler: str, request: ModelRequest) -> ModelResponse:
    return handlers.find(handler)(request)


# All prediction handlers


@every_call
def test_error_of_the_model_is_raised_unchanged(
    handler: str, target_type: str, request_for: Callable[[], ModelRequest]
) -> None:
    for error in MODEL_ERRORS:
        handlers = make_handlers(FakePredictor(error, chats=True), target_type)
        with pytest.raises(type(error)) as caught:
            call(handlers, handler, request_for())
        assert caught.value is error


@every_call
def test_loading_model_is_not_called(handler: str, target_type: str, request_for: Callable[[], ModelRequest]) -> None:
    predictor = FakePredictor(chats=True)
    with pytest.raises(ModelNotReady):
        call(make_handlers(predictor, target_type, prepare=loading), handler, request_for())
    assert predictor.calls == []


@every_call
def test_failed_model_raises_the_cause(handler: str, target_type: str, request_for: Callable[[], ModelRequest]) -> None:
    handlers = make_handlers(FakePredictor(chats=True), target_type, prepare=failed)
    with pytest.raises(ModelFailedToLoad, match="no such artifact"):
        call(handlers, handler, request_for())


@each_case("handler", ["do_predict_structured", "do_predict_stream"])
@each_case(("target_type", "route"), [("unstructured", "/predictUnstructured/"), ("transform", "/transform/")])
def test_structured_route_rejects_other_models_and_names_their_route(
    handler: str, target_type: str, route: str
) -> None:
    with pytest.raises(UnprocessableInput, match=f"does not serve {target_type} models: use {route}"):
        call(make_handlers(FakePredictor(), target_type), handler, post())


@each_case("handler", ["do_transform", "do_predict_unstructured"])
def test_other_prediction_routes_reject_structured_models(handler: str) -> None:
    for target_type in STRUCTURED:
        with pytest.raises(UnprocessableInput, match="use /predict/"):
            call(make_handlers(FakePredictor(), target_type), handler, post())


# Structured predictions


def test_predict_passes_samples_and_encodes_predictions() -> None:
    predictor = FakePredictor(numbers(1.5, float("nan")))
    response = make_handlers(predictor).do_predict_structured(post(b"x\n1\n2\n"))
    assert (response.status, document_of(response)) == (200, {"predictions": [1.5, None]})
    assert predictor.calls == [b"x\n1\n2\n"]


def test_predict_encodes_class_labels_as_names() -> None:
    predictor = FakePredictor(Predictions(("yes", "no"), np.array([[0.75, 0.25]])))
    response = make_handlers(predictor, "binary").do_predict_structured(post())
    assert document_of(response) == {"predictions": [{"yes": 0.75, "no": 0.25}]}


def test_predict_encodes_extra_model_output() -> None:
    predictions = Predictions(("Predictions",), np.array([[1.0]]), pd.DataFrame({"why": ["x"]}))
    response = make_handlers(FakePredictor(predictions)).do_predict_structured(post())
    assert document_of(response) == {"predictions": [1.0], "extraModelOutput": [{"why": "x"}]}


def test_predict_uses_deployment_format_with_deployment_config() -> None:
    handlers = make_handlers(FakePredictor(numbers(2.0)), deployment=DeploymentConfig("price"))
    (row,) = document_of(handlers.do_predict_structured(post()))["data"]
    assert row == {"rowId": 0, "prediction": 2.0, "predictionValues": [{"label": "price", "value": 2.0}]}


def test_predict_rejects_output_that_json_cannot_carry() -> None:
    predictions = Predictions(("reply",), np.array([[object()]], dtype=object))
    with pytest.raises(PredictionError, match="JSON cannot carry"):
        make_handlers(FakePredictor(predictions), "textgeneration").do_predict_structured(post())


def test_only_successful_predictions_are_measured() -> None:
    predictor = FakePredictor(numbers(1.0))
    handlers = make_handlers(predictor)
    handlers.do_predict_structured(post())
    predictor.result = PredictionError("The hook raised.")
    with pytest.raises(PredictionError):
        handlers.do_predict_structured(post())
    times = document_of(handlers.do_stats(ModelRequest()))["time_info"]["run_predictor_total"]
    assert times["min"] == times["avg"] == times["max"] >= 0


# Streams


@each_case(
    ("accept", "media_type", "content"),
    [
        (None, "application/octet-stream", b'{"predictions":[1.0,2.0]}'),
        ("application/x-ndjson", "application/x-ndjson", b'{"prediction":1.0}\n{"prediction":2.0}\n'),
        ("text/csv", "text/csv", b"Predictions\n1.0\n2.0\n"),
        ("image/png", "application/octet-stream", b'{"predictions":[1.0,2.0]}'),
    ],
)
def test_stream_has_the_accepted_format(accept: str | None, media_type: str, content: bytes) -> None:
    request = post() if accept is None else post(accept=accept)
    response = make_handlers(FakePredictor([numbers(1.0), numbers(2.0)])).do_predict_stream(request)
    assert (response.status, response.media_type, response.headers["X-Streaming"]) == (200, media_type, "true")
    assert b"".join(response.content) == content  # type: ignore[arg-type]


def test_error_before_the_first_chunk_of_a_stream_is_raised() -> None:
    handlers = make_handlers(FakePredictor([PredictionError("The hook raised.")]))
    with pytest.raises(PredictionError):
        handlers.do_predict_stream(post(accept="application/x-ndjson"))


def test_error_after_the_first_chunk_becomes_a_record_of_ndjson() -> None:
    handlers = make_handlers(FakePredictor([numbers(1.0), PredictionError("The hook raised.")]))
    content = handlers.do_predict_stream(post(accept="application/x-ndjson")).content
    assert b"".join(content) == b'{"prediction":1.0}\n{"error":{"message":"ERROR: The hook raised."}}\n'  # type: ignore[arg-type]


def test_error_after_the_first_chunk_ends_a_json_document() -> None:
    content = iter(make_handlers(FakePredictor([numbers(1.0), ValueError("x")])).do_predict_stream(post()).content)
    assert next(content) == b'{"predictions":[1.0'
    with pytest.raises(ValueError, match="x"):
        next(content)


# Transforms


def test_transform_passes_samples_and_target_and_encodes_a_form() -> None:
    predictor = FakePredictor(Transformed(TRANSFORMED.features, TRANSFORMED.names, pd.DataFrame({"t": [1]})))
    request = post_form(("X", b"x\n1\n"), ("y", b"t\n1\n"), content_type="text/csv")
    response = make_handlers(predictor, "transform").do_transform(request)
    assert isinstance(response.content, bytes)
    form = parse_form(response.content, response.media_type)
    assert {name: form[name].text for name in ("X.transformed", "out.format", "y.transformed")} == {
        "X.transformed": "a\n1.5\n",
        "out.format": "csv",
        "y.transformed": "t\n1\n",
    }
    assert predictor.calls == [(b"x\n1\n", b"t\n1\n")]


def test_transform_without_target_passes_none() -> None:
    predictor = FakePredictor(TRANSFORMED)
    make_handlers(predictor, "transform").do_transform(post(b"x\n1\n"))
    assert predictor.calls == [(b"x\n1\n", None)]


# Unstructured predictions


def test_unstructured_passes_body_type_query_and_headers_unchanged() -> None:
    predictor = FakePredictor(UnstructuredOutput(b"\x00", "image/png", "utf-8"))
    request = post(b"\xff", "Image/PNG; charset=latin-1", x_custom="1")
    request.query = {"a": "1"}
    response = make_handlers(predictor, "unstructured").do_predict_unstructured(request)
    assert (response.content, response.media_type) == (b"\x00", "image/png;charset=utf-8")
    (given,) = predictor.calls
    assert (given.file.read(), given.mimetype, given.charset, given.query) == (
        b"\xff",
        "image/png",
        "latin-1",
        {"a": "1"},
    )
    assert given.headers["X-Custom"] == "1" and given.headers is not request.headers


def test_unstructured_without_a_body_passes_an_empty_file() -> None:
    predictor = FakePredictor(UnstructuredOutput(b"", "text/plain", "utf-8"))
    make_handlers(predictor, "unstructured").do_predict_unstructured(ModelRequest("POST"))
    assert predictor.calls[0].file.read() == b""


def test_unstructured_streams_an_iterator() -> None:
    predictor = FakePredictor(UnstructuredOutput(iter([b"a", b"b"]), "text/plain", "utf-8"))
    content = make_handlers(predictor, "unstructured").do_predict_unstructured(post()).content
    assert list(content) == [b"a", b"b"]


# Invocations


@each_case(
    ("target_type", "result", "media_type"),
    [
        ("regression", numbers(1.0), "application/json"),
        ("unstructured", UnstructuredOutput(b"x", "text/plain", "utf-8"), "text/plain;charset=utf-8"),
        ("transform", TRANSFORMED, "multipart/form-data"),
    ],
)
def test_invocations_predict_as_the_route_of_the_target_type(target_type: str, result: Any, media_type: str) -> None:
    response = make_handlers(FakePredictor(result), target_type).do_invocations(post())
    assert response.media_type.startswith(media_type)


# The route table


def test_every_route_of_the_table_has_a_handler() -> None:
    handlers = make_handlers(FakePredictor())
    assert all(
        callable(handlers.find(route.handler)) for route in ROUTES if not (route.is_documentation or route.for_v2)
    )


@each_case(
    ("target_type", "handler", "fields"),
    [
        ("regression", "do_predict_structured", {"X"}),
        ("regression", "do_invocations", {"X"}),
        ("transform", "do_transform", {"X", "y"}),
        ("transform", "do_invocations", {"X", "y"}),
        ("unstructured", "do_invocations", set()),
        ("unstructured", "do_predict_unstructured", set()),
        ("textgeneration", "do_chat", set()),
    ],
)
def test_form_fields_depend_on_route_and_target_type(target_type: str, handler: str, fields: set[str]) -> None:
    (route,) = (route for route in ROUTES if route.handler == handler)
    assert make_handlers(FakePredictor(), target_type).form_fields(route) == fields
