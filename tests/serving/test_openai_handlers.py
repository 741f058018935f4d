"""The handlers of completions, embeddings and responses, called with a request."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import Response

from datarobot_drum.drum.exceptions import (
    BadRequest,
    InvalidField,
    LanguageModelNotFound,
    NotFound,
    PredictionError,
    UnprocessableInput,
)
from datarobot_drum.drum.iterators import drain_async
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from tests.cases import each_case
from tests.serving.handlers_under_test import FakePredictor, document_of, make_handlers, post, post_json

USAGE = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
TOOL_CALL = {"id": "call-1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
CHAT = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE}
COMPLETION = {"id": "c-1", "object": "text_completion", "created": 1, "model": "m"}


def _completion(*texts: str) -> dict[str, Any]:
    choices = [{"index": index, "text": text, "finish_reason": "stop"} for index, text in enumerate(texts)]
    return {**COMPLETION, "choices": choices}


def _chat(text: str, **more: Any) -> dict[str, Any]:
    return {**CHAT, "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, **more}]}


def _complete(result: Any, *, predictor: FakePredictor | None = None, **params: Any) -> ModelResponse:
    predictor = predictor or FakePredictor(result, completes=True)
    return make_handlers(predictor, "textgeneration").do_completions(post_json({"prompt": "Hi you", **params}))


def _embed(result: Any, *, predictor: FakePredictor | None = None, **params: Any) -> ModelResponse:
    predictor = predictor or FakePredictor(result, embeds=True)
    return make_handlers(predictor, "textgeneration").do_embeddings(post_json({"input": "Hi you", **params}))


def _respond(result: Any, *, predictor: FakePredictor | None = None, **params: Any) -> ModelResponse:
    predictor = predictor or FakePredictor(result, responds=True)
    return make_handlers(predictor, "textgeneration").do_responses(post_json({"input": "Hi you", **params}))


def _events(response: ModelResponse) -> list[Any]:
    assert response.media_type.startswith("text/event-stream") and not isinstance(response.content, bytes)
    data = [event.rpartition(b"data: ")[2] for event in response.content]
    return [item.strip().decode() if item.startswith(b"[DONE]") else orjson.loads(item) for item in data]


def _texts(document: dict[str, Any]) -> list[str]:
    return [choice["text"] for choice in document["choices"]]


async def _asynchronous(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


# Completions


@each_case(
    ("result", "params", "texts"),
    [
        ("Hello", {}, ["Hello"]),
        (["a", "b"], {"prompt": ["x", "y"]}, ["a", "b"]),
        (np.array(["a", "b"]), {"n": 2}, ["a", "b"]),
        (pd.Series(["a", "b"]), {"prompt": ["x", "y"]}, ["a", "b"]),
        (_completion("a"), {}, ["a"]),
        (Completion.model_validate(_completion("a")), {}, ["a"]),
        (lambda: iter(["Hel", "lo"]), {}, ["Hello"]),
        (lambda: drain_async(_asynchronous("Hel", "lo")), {}, ["Hello"]),
        (lambda: iter([_completion("Hel"), _completion("lo")]), {}, ["Hello"]),
    ],
    ids=["text", "list", "array", "series", "dict", "object", "generator", "async", "chunks"],
)
def test_completion_has_natural_results(result: Any, params: dict[str, Any], texts: list[str]) -> None:
    document = document_of(_complete(result, model="mine", **params))
    assert (document["object"], _texts(document)) == ("text_completion", texts) if "object" in document else texts
    assert document["datarobot_association_id"] and document["usage"] is None


@each_case("result", ["Hello", lambda: iter(["Hello"]), _completion("Hello")])
@each_case("wanted", [True, False])
def test_stream_of_completions_ends_with_its_usage_if_wanted(result: Any, wanted: bool) -> None:
    predictor = FakePredictor(result, completes=True, counts_words=True)
    response = _complete(None, predictor=predictor, stream=True, stream_options={"include_usage": wanted})
    *chunks, done = _events(response)
    assert done == "[DONE]"
    assert "".join(text for chunk in chunks for text in _texts(chunk)) == "Hello"
    if wanted:
        assert chunks[-1]["choices"] == []
        assert chunks[-1]["usage"] == {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}
        assert all(chunk["usage"] is None for chunk in chunks[:-1])
    else:
        assert all(chunk["choices"] for chunk in chunks)


def test_usage_of_a_stream_is_null_without_a_tokenizer() -> None:
    *_, last, done = _events(_complete("Hello", stream=True, stream_options={"include_usage": True}))
    assert (last["choices"], last["usage"], done) == ([], None, "[DONE]")


@each_case(
    "result", [["a"], "a", lambda: iter(["a"]), [1, 2], None], ids=["list", "text", "iterator", "numbers", "none"]
)
def test_completion_needs_one_text_per_prompt(result: Any) -> None:
    with pytest.raises(PredictionError):
        _complete(result, prompt=["x", "y"])


@each_case(
    ("params", "field"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"n": 0}, "n"),
        ({"n": "2"}, "n"),
        ({"model": 5}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": True}, "stream_options"),
    ],
    ids=str,
)
def test_completion_rejects_a_wrong_field_by_name(params: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField) as caught:
        _complete("never", **params)
    assert caught.value.param == field


def test_completion_hook_gets_token_arrays_unchanged() -> None:
    predictor = FakePredictor(["a", "b"], completes=True)
    _complete(None, predictor=predictor, prompt=[[1, 2], [3]])
    assert predictor.calls[0][0]["prompt"] == [[1, 2], [3]]


# Completions by chat


def test_completion_by_chat_asks_once_per_prompt() -> None:
    predictor = FakePredictor(lambda: _chat("Hello"), chats=True)
    document = document_of(_complete(None, predictor=predictor, prompt=["a", "b"], max_tokens=5, n=1))
    assert [params["messages"][0]["content"] for params, _ in predictor.calls] == ["a", "b"]
    assert predictor.calls[0][0]["max_tokens"] == 5 and "prompt" not in predictor.calls[0][0]
    assert [choice["index"] for choice in document["choices"]] == [0, 1] and _texts(document) == ["Hello", "Hello"]
    assert document["usage"] == {"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10}


@each_case("result", [lambda: iter(["Hel", "lo"]), "Hello", _chat("Hello")], ids=["texts", "text", "dict"])
@each_case("options", [{}, {"stream_options": {"include_usage": True}}], ids=["plain", "usage"])
def test_completion_by_chat_is_streamed(result: Any, options: dict[str, Any]) -> None:
    predictor = FakePredictor(result, chats=True, counts_words=True)
    *chunks, done = _events(_complete(None, predictor=predictor, prompt=["a", "b"], stream=True, **options))
    texts = {0: "", 1: ""}
    for chunk in chunks:
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["text"]
    assert (texts, done) == ({0: "Hello", 1: "Hello"}, "[DONE]")
    assert [chunk["choices"] for chunk in chunks].count([]) == len(options)


@each_case("params", [{"suffix": "x"}, {"echo": True}, {"logprobs": 0}, {"best_of": 2}, {"prompt": [1]}], ids=str)
def test_completion_by_chat_rejects_what_a_chat_cannot(params: dict[str, Any]) -> None:
    predictor = FakePredictor("never", chats=True)
    with pytest.raises(InvalidField):
        _complete(None, predictor=predictor, **params)
    assert predictor.calls == []


# Embeddings

VECTORS = [[0.5, -1.25], [3.0, 4.0]]
TWO: dict[str, Any] = {"input": ["a", "b"]}


def _numbers(response: ModelResponse) -> list[Any]:
    return [item["embedding"] for item in document_of(response)["data"]]


@each_case(
    "result",
    [
        VECTORS,
        np.array(VECTORS),
        np.array(VECTORS, dtype="f4"),
        [np.array(vector, dtype="f2") for vector in VECTORS],
        tuple(VECTORS),
        pd.DataFrame(VECTORS),
        lambda: iter(VECTORS),
        lambda: drain_async(_asynchronous(*VECTORS)),
        {"data": [{"index": 1, "embedding": VECTORS[1]}, {"index": 0, "embedding": VECTORS[0]}]},
    ],
    ids=["lists", "array", "float32", "arrays", "tuple", "frame", "generator", "async", "document"],
)
def test_embeddings_have_natural_results(result: Any) -> None:
    document = document_of(_embed(result, model="mine", **TWO))
    assert [item.pop("embedding") for item in document["data"]] == VECTORS
    assert document == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0}, {"object": "embedding", "index": 1}],
        "model": "mine",
        "usage": None,
    }


def test_embeddings_of_the_openai_library_keep_usage_and_model() -> None:
    data = [{"object": "embedding", "index": 0, "embedding": [1.0]}]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    upstream = CreateEmbeddingResponse.model_validate({"object": "list", "model": "up", "data": data, "usage": usage})
    document = document_of(_embed(upstream))
    assert (document["model"], document["usage"], document["data"]) == ("up", usage, data)


def test_embeddings_count_tokens_with_a_tokenizer() -> None:
    predictor = FakePredictor(VECTORS, embeds=True, counts_words=True)
    document = document_of(_embed(None, predictor=predictor, input=["one two", "three"]))
    assert document["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


@given(st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=2)))
def test_base64_holds_the_numbers_of_the_float_format(vectors: list[list[float]]) -> None:
    vectors = vectors or [[0.0, 1.0]]
    texts = [str(index) for index in range(len(vectors))]
    array = np.array(vectors, dtype="f4")
    plain = _numbers(_embed(array, input=texts, encoding_format="float"))
    encoded = _numbers(_embed(array, input=texts, encoding_format="base64"))
    assert [np.frombuffer(base64.b64decode(text), "<f4").tolist() for text in encoded] == plain == array.tolist()


@each_case(
    "result",
    [
        None,
        1.0,
        [1.0],
        [[1.0]],
        [[1.0, 2.0], [3.0]],
        [[], []],
        [["a"], ["b"]],
        np.array([[np.nan], [1.0]]),
        [[True]] * 2,
    ],
    ids=str,
)
def test_embeddings_need_one_vector_of_numbers_per_text(result: Any) -> None:
    with pytest.raises(PredictionError):
        _embed(result, **TWO)


def test_base64_rejects_numbers_of_more_than_32_bits() -> None:
    with pytest.raises(PredictionError, match="too large"):
        _embed([[1e300]], encoding_format="base64")
    assert _numbers(_embed([[1e300]])) == [[1e300]]


def test_embeddings_reject_dimensions_that_the_model_does_not_have() -> None:
    predictor = FakePredictor([[1.0, 2.0]], embeds=True)
    with pytest.raises(InvalidField, match="this model has 2 dimensions"):
        _embed(None, predictor=predictor, dimensions=3)
    assert predictor.calls[0][0].dimensions == 3
    assert _numbers(_embed([[1.0, 2.0]], dimensions=2)) == [[1.0, 2.0]]


@each_case(
    ("params", "field"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": {"a": 1}}, "input"),
        ({"input": ["a", None]}, "input"),
        ({"input": [1.5]}, "input"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": True}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
    ],
    ids=str,
)
def test_embeddings_reject_a_wrong_field_by_name(params: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField) as caught:
        _embed([[1.0]], **params)
    assert caught.value.param == field


# Responses


@each_case(
    "result",
    [
        "Hello you",
        lambda: iter(["Hello ", "you"]),
        lambda: drain_async(_asynchronous("Hello ", "you")),
        _chat("Hello you"),
        lambda: iter([_chunk(content="Hello "), ChatCompletionChunk.model_validate(_chunk(content="you"))]),
        {"output": [{"type": "message", "content": [{"type": "output_text", "text": "Hello you", "annotations": []}]}]},
    ],
    ids=["text", "texts", "async", "chat", "chunks", "response"],
)
def test_response_has_natural_results(result: Any) -> None:
    document = document_of(_respond(result, instructions="Be kind."))
    response = Response.model_validate(document, strict=False)
    assert response.output_text == "Hello you" and response.instructions == "Be kind."
    assert document["object"] == "response" and document["datarobot_association_id"]
    events = _events(_respond(result, stream=True))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert "".join(event["delta"] for event in events if event["type"].endswith(".delta")) == "Hello you"
    assert events[0]["type"] == "response.created"
    (completed,) = (event["response"] for event in events if event["type"] == "response.completed")
    assert completed["output"][0]["content"][0]["text"] == "Hello you"


def _chunk(**delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def test_events_of_a_model_are_passed_on() -> None:
    final = {"type": "response.completed", "response": {"id": "r", "output": [], "usage": None}}
    native = lambda: iter([{"type": "response.custom"}, final])  # noqa: E731
    assert [event["type"] for event in _events(_respond(native, stream=True))] == [
        "response.custom",
        "response.completed",
    ]
    assert document_of(_respond(native))["id"] == "r"


def test_chat_request_is_made_of_a_response_request() -> None:
    predictor = FakePredictor(lambda: iter([_chunk(tool_calls=[{"index": 0, **TOOL_CALL}])]), chats=True)
    function = {"name": "add", "parameters": {"type": "object"}}
    schema = {"name": "answer", "schema": {"type": "object"}, "strict": True}
    items: list[Any] = [
        {"role": "user", "content": [{"type": "input_text", "text": "Add"}]},
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "add", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "3"},
    ]
    document = document_of(
        _respond(
            None,
            predictor=predictor,
            input=items,
            instructions="Be kind.",
            max_output_tokens=9,
            tools=[{"type": "function", **function}],
            tool_choice={"type": "function", "name": "add"},
            text={"format": {"type": "json_schema", **schema}},
        )
    )
    assert predictor.calls[0][0] == {
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Add"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "3"},
        ],
        "max_completion_tokens": 9,
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "add"}},
        "response_format": {"type": "json_schema", "json_schema": schema},
    }
    (call,) = document["output"]
    assert (call["type"], call["call_id"], call["name"], call["arguments"]) == (
        "function_call",
        "call-1",
        "add",
        '{"a":1}',
    )


def test_response_by_chat_has_usage_and_its_reason() -> None:
    predictor = FakePredictor(_chat("Hello", finish_reason="length"), chats=True)
    document = document_of(_respond(None, predictor=predictor))
    assert (document["status"], document["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    usage = {name: document["usage"][name] for name in ("input_tokens", "output_tokens", "total_tokens")}
    assert usage == {"input_tokens": 2, "output_tokens": 3, "total_tokens": 5}


@each_case(
    ("params", "field"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a"]}, "input"),
        ({"input": 5}, "input"),
        ({"input": [{"type": "image_generation_call"}]}, "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input"),
        ({"input": [{"content": "no role"}]}, "input"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"tools": {}}, None),
        ({"tools": "a"}, "tools"),
        ({"text": "json"}, "text"),
    ],
    ids=str,
)
def test_response_by_chat_rejects_what_a_chat_cannot(params: dict[str, Any], field: str | None) -> None:
    predictor = FakePredictor("Hello", chats=True)
    if field is None:
        assert document_of(_respond(None, predictor=predictor, **params))["status"] == "completed"
        return
    with pytest.raises(InvalidField) as caught:
        _respond(None, predictor=predictor, **params)
    assert caught.value.param == field and predictor.calls == []


@each_case(
    "result", [None, 1, {"id": "x"}, [1], lambda: iter([None])], ids=["none", "number", "dict", "list", "iterator"]
)
def test_response_needs_an_output(result: Any) -> None:
    with pytest.raises(PredictionError):
        _respond(result)


# Errors of all


def _handle(route: str, predictor: FakePredictor, request: ModelRequest) -> ModelResponse:
    handler: Callable[[ModelRequest], ModelResponse] = getattr(make_handlers(predictor, "textgeneration"), route)
    return handler(request)


ROUTES = ["do_completions", "do_embeddings", "do_responses"]


@each_case("route", ROUTES)
def test_model_without_the_hook_is_not_found(route: str) -> None:
    with pytest.raises(NotFound):
        _handle(route, FakePredictor(), post_json({}))


@each_case("route", ROUTES)
@each_case("body", [b"", b"{", b"[]", b"1", b'{"a": "\xff"}'], ids=repr)
def test_body_that_is_no_json_object_is_rejected(route: str, body: bytes) -> None:
    with pytest.raises(BadRequest):
        _handle(route, FakePredictor(completes=True, embeds=True, responds=True), post(body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "role", "content"]), inner),
    max_leaves=8,
)
FIELDS = ["prompt", "input", "messages", "n", "stream", "tools", "text", "instructions", "dimensions", "reasoning"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_json_object_is_served_or_rejected(params: dict[str, Any]) -> None:
    predictor = FakePredictor(lambda: "Hello", chats=True, embeds=True, counts_words=True)
    handlers = make_handlers(predictor, "textgeneration")
    for handle in (handlers.do_chat, handlers.do_completions, handlers.do_responses):
        with suppress(BadRequest, UnprocessableInput):
            response = handle(post_json(params))
            assert isinstance(response.content, bytes) or list(response.content)


# Chat


@each_case("result", [["a", "b"], np.array(["a", "b"])], ids=["list", "array"])
def test_list_of_texts_is_one_choice_each(result: Any) -> None:
    handlers = make_handlers(FakePredictor(result, chats=True), "textgeneration")
    document = document_of(handlers.do_chat(post_json({"messages": [{"role": "user", "content": "Hi"}], "n": 2})))
    assert [choice["message"]["content"] for choice in document["choices"]] == ["a", "b"]


@each_case("result", [lambda: iter(["Hel", "lo"]), "Hello", _chat("Hello")], ids=["texts", "text", "dict"])
def test_stream_of_a_chat_has_one_chunk_of_usage(result: Any) -> None:
    handlers = make_handlers(FakePredictor(result, chats=True, counts_words=True), "textgeneration")
    request = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
    *chunks, last, _ = _events(handlers.do_chat(post_json({**request, "stream_options": {"include_usage": True}})))
    assert (last["choices"], [chunk["usage"] for chunk in chunks]) == ([], [None] * len(chunks))
    assert last["usage"] in (USAGE, {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})


# Models


def test_single_model_is_found_by_its_name() -> None:
    handlers = make_handlers(FakePredictor(models=["a/b", {"id": "c"}]), "textgeneration")
    for name in ("a/b", "a/b/"):
        assert document_of(handlers.get_llm_model(ModelRequest(path_values={"subpath": name})))["id"] == "a/b"
    with pytest.raises(LanguageModelNotFound, match="the list has: a/b, c"):
        handlers.get_llm_model(ModelRequest(path_values={"subpath": "d"}))
