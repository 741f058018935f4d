"""A model that is an engine: chat, its list of models and tables of prompts."""

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


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


def ask(all_servers: Servers, text: str, **more: Any) -> Response:
    """The answer that all servers gave, its association id apart."""
    answers = request_all(all_servers, "POST", "/v1/chat/completions", json=said(text, **more))
    for name, answer in answers.items():
        document = json.loads(answer.body)
        document.pop("datarobot_association_id", None)
        answers[name] = Response(answer.status, json.dumps(document).encode(), answer.headers)
    return same_response(answers)


@pytest.mark.parametrize(
    ("sent", "asked"),
    [
        ({}, "datarobot-deployed-llm"),
        ({"model": "datarobot-deployed-llm"}, "datarobot-deployed-llm"),
        ({"model": None}, "datarobot-deployed-llm"),
        ({"model": "meta/tiny"}, "meta/tiny"),
    ],
    ids=["none", "placeholder", "null", "own"],
)
def test_a_completion_is_the_engines(all_servers: Servers, sent: dict[str, Any], asked: str) -> None:
    answer = ask(all_servers, "hello", **sent, temperature=0.5, nvext={"x": 1})
    document = json.loads(answer.body)
    assert (answer.status, document["choices"][0]["message"]["content"]) == (200, "You said hello.")
    assert document["asked"] == said("hello", model=asked, temperature=0.5, nvext={"x": 1})


@pytest.mark.parametrize("text", ["refuse", "refuse in an old form"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_engines_refusal_is_passed_on(all_servers: Servers, text: str, stream: bool) -> None:
    answer = ask(all_servers, text, stream=stream)
    document = json.loads(answer.body)
    assert (answer.status, document["message"]) == (404, "ERROR: täxt: no such model")
    error = document["error"]
    assert (error["message"], error["param"], error["code"]) == ("täxt: no such model", "model", 404)
    assert dict(answer.headers).get("retry-after") == ("9" if "old" in text else None)


def test_a_refusal_in_no_form_is_told_as_it_came(all_servers: Servers) -> None:
    answer = ask(all_servers, "refuse in no form")
    assert (answer.status, json.loads(answer.body)["error"]["message"]) == (429, "<html>upstream</html>")


def test_openais_client_reads_an_answer_and_an_error(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="x", messages=[{"role": "user", "content": "hi"}])
    assert completion.choices[0].message.content == "You said hi."
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="x", messages=[{"role": "user", "content": "refuse"}])
    assert caught.value.param == "model"


def stream_of(client: OpenAI, text: str) -> Iterator[str | None]:
    chunks = client.chat.completions.create(model="x", messages=[{"role": "user", "content": text}], stream=True)
    return (chunk.choices[0].delta.content for chunk in chunks)


def test_openais_client_reads_a_stream_while_it_is_made(client: OpenAI, engine: RunningEngine) -> None:
    """A word ``wait`` comes only once the words before it have been read."""
    words = stream_of(client, "one wait two wait")
    assert next(words) == "one"
    engine.control("go")
    assert [next(words), next(words)] == ["wait", "two"]
    engine.control("go")
    assert list(words) == ["wait"]


@pytest.mark.parametrize("word", ["fail", "break", "end"])
def test_a_stream_that_fails_ends_in_an_error(client: OpenAI, word: str) -> None:
    words = stream_of(client, f"one two {word} three")
    assert [next(words), next(words)] == ["one", "two"]
    with pytest.raises(openai.APIError):
        next(words)


def test_a_stream_that_fails_at_once_is_an_error_answer(all_servers: Servers) -> None:
    assert ask(all_servers, "fail", stream=True).status == 507
    assert ask(all_servers, "break", stream=True).status == 502


@pytest.mark.parametrize("path", ["/models", "/v1/models/"])
def test_the_models_are_the_engines(all_servers: Servers, path: str) -> None:
    answer = assert_same_response(all_servers, "GET", path)
    models = [{"id": "meta/tiny", "object": "model", "created": 1, "owned_by": "engine"}]
    assert json.loads(answer.body) == {"object": "list", "data": models}


@pytest.mark.parametrize("body", ["promptText,x\na,1\nb,2\n", "question\na\nb\n"], ids=["named", "only"])
def test_a_table_of_prompts_is_answered_row_by_row(all_servers: Servers, body: str) -> None:
    answer = assert_same_response(all_servers, "POST", "/predict/", content=body)
    assert json.loads(answer.body) == {"predictions": [{"answer": "You said a."}, {"answer": "You said b."}]}
    assert assert_same_response(all_servers, "POST", "/predictionsStream/", content=body).body == answer.body


def test_a_table_without_prompts_is_no_input(all_servers: Servers) -> None:
    answer = assert_same_response(all_servers, "POST", "/predict/", content="a,b\n1,2\n")
    assert (answer.status, b"DRUM_ENGINE_PROMPT_COLUMN" in answer.body) == (422, True)


@pytest.mark.parametrize("route", ["/info/", "/capabilities/"])
def test_the_server_tells_of_its_engine(all_servers: Servers, route: str) -> None:
    for server in all_servers.values():
        document = server.client.get(route).json()
        if route == "/info/":
            assert (document["predictor"], document["targetType"]) == ("nim", "textgeneration")
        else:
            assert document["supported_methods"] == {"chat": True}
