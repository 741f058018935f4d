"""The handlers of chat, language models and direct access, called with a request."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from datarobot_drum.drum.exceptions import BadRequest, NotFound, PredictionError
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.settings.engine import EngineSettings
from tests.cases import each_case
from tests.serving.handlers_under_test import (
    FakePredictor,
    document_of,
    failed,
    make_handlers,
    numbers,
    post,
    post_json,
)

COMPLETION = {"id": "1", "object": "chat.completion", "model": "m", "choices": []}


def _chat(result: Any, **params: Any) -> ModelResponse:
    handlers = make_handlers(FakePredictor(result, chats=True), "textgeneration")
    return handlers.do_chat(post_json({"messages": [{"role": "user", "content": "Hi"}], **params}))


def test_chat_returns_a_completion_with_an_association_id() -> None:
    document = document_of(_chat(dict(COMPLETION)))
    assert document.pop("datarobot_association_id")
    assert document == COMPLETION


def test_chat_passes_params_and_headers() -> None:
    predictor = FakePredictor(dict(COMPLETION), chats=True)
    params = {"messages": [{"role": "user", "content": "Hi"}], "temperature": 0.5}
    make_handlers(predictor, "textgeneration").do_chat(post_json(params, x_custom="1"))
    ((given, headers),) = predictor.calls
    assert given == params and headers["x-custom"] == "1"


@each_case("result", [dict(COMPLETION), iter([dict(COMPLETION)])], ids=["completion", "iterator"])
def test_chat_streams_events_and_ends_with_done(result: Any) -> None:
    response = _chat(result, stream=True)
    events = list(response.content)
    assert response.media_type.startswith("text/event-stream") and response.keep_alive.startswith(b":")
    assert len(events) == 2 and events[-1] == b"data: [DONE]\n\n"


def test_chat_text_becomes_a_completion() -> None:
    document = document_of(_chat("Hello", model="mine"))
    assert (document["object"], document["model"]) == ("chat.completion", "mine")
    assert document["id"].startswith("chatcmpl-") and isinstance(document["created"], int)
    assert document["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop", "logprobs": None}
    ]
    assert document["datarobot_association_id"] and document["usage"] is None


def test_chat_message_becomes_a_completion() -> None:
    message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": []}
    assert document_of(_chat(message))["choices"][0]["message"] == message


def _streamed(result: Any) -> list[dict[str, Any]]:
    content: Any = _chat(result, stream=True, model="mine").content
    *events, done = content
    assert done == b"data: [DONE]\n\n"
    return [orjson.loads(event.removeprefix(b"data: ")) for event in events]


@each_case("result", [["Hel", "lo"], ["", "Hello"]], ids=["two", "empty first"])
def test_chat_text_of_a_generator_becomes_chunks(result: list[str]) -> None:
    chunks = _streamed(iter(result))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas == [{"role": "assistant", "content": result[0]}, {"content": result[1]}, {}]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop"]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1


def test_chat_text_is_streamed_as_one_chunk() -> None:
    (chunk,) = _streamed("Hello")
    assert chunk["object"] == "chat.completion.chunk"
    assert chunk["choices"][0]["delta"] == {"role": "assistant", "content": "Hello"}


def test_chat_generator_without_text_ends_with_done() -> None:
    assert _streamed(iter([])) == []


def test_chat_carries_values_without_a_json_form() -> None:
    document = document_of(_chat({**COMPLETION, "cost": Decimal("0.5"), "when": timedelta(1), 1: {2}}))
    assert (document["cost"], document["when"], document["1"]) == (0.5, "P1DT0H0M0S", [2])


def test_error_of_the_first_chat_chunk_is_raised() -> None:
    def fail(chunk: None) -> Any:
        raise PredictionError("The hook raised.")

    with pytest.raises(PredictionError):
        _chat(map(fail, [None]), stream=True)


@each_case("result", [None, 1], ids=["none", "number"])
def test_chat_rejects_a_result_that_is_no_completion(result: Any) -> None:
    with pytest.raises(PredictionError, match="where a completion was expected"):
        _chat(result)


@each_case(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"messages": {}}', b'{"messages": ["Hi"]}', b'{"messages": []}'],
    ids=["empty", "no-json", "no-object", "no-messages", "messages-no-list", "message-no-object", "no-message"],
)
def test_chat_rejects_a_malformed_request(body: bytes) -> None:
    predictor = FakePredictor(chats=True)
    with pytest.raises(BadRequest):
        make_handlers(predictor, "textgeneration").do_chat(post(body, "application/json"))
    assert predictor.calls == []


def test_chat_without_a_chat_hook_is_not_found() -> None:
    with pytest.raises(NotFound):
        make_handlers(FakePredictor(), "textgeneration").do_chat(post_json({"messages": []}))


# Language models


@each_case(
    ("models", "llm_id", "ids"),
    [
        (None, "", []),
        (None, "configured", ["configured"]),
        (["a", {"id": "b"}], "configured", ["a", "b"]),
        ({"data": ["c"]}, "", ["c"]),
        ([], "configured", []),
    ],
    ids=["none", "parameter", "list", "document", "empty"],
)
def test_models_are_listed(models: Any, llm_id: str, ids: list[str]) -> None:
    handlers = make_handlers(FakePredictor(models=models), "textgeneration", llm_id=llm_id)
    document = document_of(handlers.get_supported_llm_models(ModelRequest()))
    assert document["object"] == "list" and [model["id"] for model in document["data"]] == ids
    assert all(model["object"] == "model" and model["owned_by"] for model in document["data"])


@each_case("models", ["a", 1, {"id": "a"}])
def test_models_that_are_no_list_are_rejected(models: Any) -> None:
    with pytest.raises(PredictionError, match="must return a list"):
        make_handlers(FakePredictor(models=models), "textgeneration").get_supported_llm_models(ModelRequest())


@each_case("target_type", ["regression", "unstructured", "transform"])
def test_models_of_other_target_types_are_not_found(target_type: str) -> None:
    with pytest.raises(NotFound):
        make_handlers(FakePredictor(models=["a"]), target_type).get_supported_llm_models(ModelRequest())


# Direct access


def test_direct_access_without_an_engine_is_not_found() -> None:
    handlers = make_handlers(FakePredictor())
    assert handlers.engine is None
    with pytest.raises(NotFound, match="no inference engine"):
        handlers.do_direct_access(ModelRequest())


def test_engine_is_that_of_the_predictor() -> None:
    class EnginePredictor(FakePredictor):
        engine = EngineSettings("nim")

    assert make_handlers(EnginePredictor()).engine == EngineSettings("nim")
    assert make_handlers(None, prepare=failed).engine is None


def test_invocations_of_a_text_model_serve_chats_and_rows() -> None:
    predictor = FakePredictor(dict(COMPLETION), chats=True)
    handlers = make_handlers(predictor, "textgeneration")
    document = document_of(handlers.do_invocations(post_json({"messages": [{"role": "user", "content": "Hi"}]})))
    assert document["object"] == "chat.completion"
    with pytest.raises(BadRequest, match="empty list"):
        handlers.do_invocations(post_json({"messages": []}))
    predictor.result = numbers(1.0)
    assert handlers.do_invocations(post(b"promptText\nHi\n")).status == 200
