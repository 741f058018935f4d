"""A model behind an inference engine: chat, list of models, and tables of prompts."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.api.all_servers import Servers
from tests.api.responses import Response, assert_same_response, request_all, same_response
from tests.engine.running import RunningEngine
from tests.processes import RunningServer

pytestmark = pytest.mark.process


@pytest.fixture
def client(server: RunningServer) -> Iterator[OpenAI]:
    http_client = openai.DefaultHttpxClient(trust_env=False)
    with OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0, http_client=http_client) as client:
        yield client


def user_message(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


def chat_on_all(all_servers: Servers, text: str, **more: Any) -> Response:
    """Send a chat to all servers; return their common response, without the association id."""
    responses = request_all(all_servers, "POST", "/v1/chat/completions", json=user_message(text, **more))
    for name, response in responses.items():
        document = json.loads(response.body)
        document.pop("datarobot_association_id", None)
        responses[name] = Response(response.status, json.dumps(document).encode(), response.headers)
    return same_response(responses)


@pytest.mark.parametrize(
    ("sent", "model"),
    [
        ({}, "datarobot-deployed-llm"),
        ({"model": "datarobot-deployed-llm"}, "datarobot-deployed-llm"),
        ({"model": None}, "datarobot-deployed-llm"),
        ({"model": "meta/tiny"}, "meta/tiny"),
    ],
    ids=["none", "placeholder", "null", "own"],
)
def test_chat_returns_the_engine_completion(all_servers: Servers, sent: dict[str, Any], model: str) -> None:
    response = chat_on_all(all_servers, "hello", **sent, temperature=0.5, nvext={"x": 1})
    document = json.loads(response.body)
    assert (response.status, document["choices"][0]["message"]["content"]) == (200, "You said hello.")
    assert document["params"] == user_message("hello", model=model, temperature=0.5, nvext={"x": 1})


@pytest.mark.parametrize("text", ["refuse", "refuse in an old form"])
@pytest.mark.parametrize("stream", [False, True])
def test_engine_error_is_forwarded(all_servers: Servers, text: str, stream: bool) -> None:
    response = chat_on_all(all_servers, text, stream=stream)
    document = json.loads(response.body)
    assert (response.status, document["message"]) == (404, "ERROR: täxt: no such model")
    error = document["error"]
    assert (error["message"], error["param"], error["code"]) == ("täxt: no such model", "model", 404)
    assert dict(response.headers).get("retry-after") == ("9" if "old" in text else None)


def test_unstructured_engine_error_is_forwarded_as_text(all_servers: Servers) -> None:
    response = chat_on_all(all_servers, "refuse in no form")
    assert (response.status, json.loads(response.body)["error"]["message"]) == (429, "<html>upstream</html>")


def test_openai_client_reads_a_completion_and_an_error(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="x", messages=[{"role": "user", "content": "hi"}])
    assert completion.choices[0].message.content == "You said hi."
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="x", messages=[{"role": "user", "content": "refuse"}])
    assert caught.value.param == "model"


def test_openai_client_reads_completions_embeddings_and_responses(client: OpenAI) -> None:
    assert client.completions.create(model="x", prompt="hi").choices[0].text == "You wrote hi."
    embeddings = client.embeddings.create(model="x", input=["a", "bc"])
    assert [item.embedding for item in embeddings.data] == [[0.5], [1.0]]
    assert (embeddings.model, embeddings.usage.prompt_tokens) == ("x", 1)
    assert client.responses.create(model="x", input="hi").output_text == "You said hi."
    with client.responses.stream(model="x", input="one two") as stream:
        assert stream.get_final_response().output_text == "onetwo"


def stream_of(client: OpenAI, text: str) -> Iterator[str | None]:
    chunks = client.chat.completions.create(model="x", messages=[{"role": "user", "content": text}], stream=True)
    return (chunk.choices[0].delta.content for chunk in chunks)


def test_openai_client_reads_a_stream_incrementally(client: OpenAI, engine: RunningEngine) -> None:
    """The engine holds each word ``wait`` until the words before it have been read."""
    words = stream_of(client, "one wait two wait")
    assert next(words) == "one"
    engine.control("go")
    assert [next(words), next(words)] == ["wait", "two"]
    engine.control("go")
    assert list(words) == ["wait"]


@pytest.mark.parametrize("word", ["fail", "break", "end"])
def test_failing_stream_ends_in_an_error(client: OpenAI, word: str) -> None:
    words = stream_of(client, f"one two {word} three")
    assert [next(words), next(words)] == ["one", "two"]
    with pytest.raises(openai.APIError):
        next(words)


def test_stream_failing_before_its_first_chunk_is_an_error_response(all_servers: Servers) -> None:
    assert chat_on_all(all_servers, "fail", stream=True).status == 507
    assert chat_on_all(all_servers, "break", stream=True).status == 502


@pytest.mark.parametrize("path", ["/models", "/v1/models/"])
def test_models_route_returns_the_engine_models(all_servers: Servers, path: str) -> None:
    response = assert_same_response(all_servers, "GET", path)
    models = [{"id": "meta/tiny", "object": "model", "created": 1, "owned_by": "engine"}]
    assert json.loads(response.body) == {"object": "list", "data": models}


@pytest.mark.parametrize("body", ["promptText,x\na,1\nb,2\n", "question\na\nb\n"], ids=["named", "only"])
def test_prompt_table_is_completed_row_by_row(all_servers: Servers, body: str) -> None:
    response = assert_same_response(all_servers, "POST", "/predict/", content=body)
    assert json.loads(response.body) == {"predictions": [{"answer": "You said a."}, {"answer": "You said b."}]}
    assert assert_same_response(all_servers, "POST", "/predictionsStream/", content=body).body == response.body


def test_table_without_prompt_column_returns_422(all_servers: Servers) -> None:
    response = assert_same_response(all_servers, "POST", "/predict/", content="a,b\n1,2\n")
    assert (response.status, b"DRUM_ENGINE_PROMPT_COLUMN" in response.body) == (422, True)


@pytest.mark.parametrize("route", ["/info/", "/capabilities/"])
def test_info_and_capabilities_describe_the_engine(all_servers: Servers, route: str) -> None:
    for server in all_servers.values():
        document = server.client.get(route).json()
        if route == "/info/":
            assert (document["predictor"], document["targetType"]) == ("nim", "textgeneration")
        else:
            assert all(document["supported_methods"].values())
