"""OpenAI's own client: chat, completions, embeddings, responses, models, streams and errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai

from tests.conformance_clients.checks import Checks, NotSupported, Target, reject

CHECKS = Checks(("openai",), needs="chat")

MODEL = "echo"
REPLY = "You said: Hello world"
MESSAGES: Any = [{"role": "user", "content": "Hello world"}]


@contextmanager
def _client(target: Target) -> Iterator[openai.OpenAI]:
    http_client = openai.DefaultHttpxClient(trust_env=False)
    with openai.OpenAI(base_url=f"{target.chat}/v1", api_key="any", max_retries=0, http_client=http_client) as client:
        yield client


@CHECKS.add("`chat.completions.create`")
def chat(target: Target) -> None:
    with _client(target) as client:
        completion = client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert completion.choices[0].message.content == REPLY
    assert completion.usage and completion.usage.completion_tokens == 4


@CHECKS.add("`chat.completions.create(stream=True, stream_options={'include_usage': True})`")
def chat_stream(target: Target) -> None:
    with _client(target) as client:
        *chunks, last = client.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == REPLY
    assert last.choices == [] and last.usage and last.usage.completion_tokens == 4


@CHECKS.add("`completions.create`")
def completion(target: Target) -> None:
    with _client(target) as client:
        found = client.completions.create(model=MODEL, prompt="Hello world")
    assert (found.object, found.choices[0].text) == ("text_completion", REPLY)
    assert found.usage and found.usage.completion_tokens == 4


@CHECKS.add("`completions.create(stream=True, stream_options={'include_usage': True})`")
def completion_stream(target: Target) -> None:
    with _client(target) as client:
        *chunks, last = client.completions.create(
            model=MODEL, prompt="Hello world", stream=True, stream_options={"include_usage": True}
        )
    assert "".join(chunk.choices[0].text for chunk in chunks) == REPLY
    assert last.choices == [] and last.usage and last.usage.completion_tokens == 4


@CHECKS.add("`embeddings.create`, base64 (the client's default: 32-bit numbers) and float")
def embeddings(target: Target) -> None:
    with _client(target) as client:
        short = client.embeddings.create(model=MODEL, input=["abba", "c"])
        plain = client.embeddings.create(model=MODEL, input="abba", encoding_format="float")
    assert short.data[0].embedding[:3] == [2.0, 2.0, 0.0] == plain.data[0].embedding[:3]
    assert [item.index for item in short.data] == [0, 1] and short.usage.prompt_tokens == 2


@CHECKS.add("`responses.create`")
def response(target: Target) -> None:
    with _client(target) as client:
        found = client.responses.create(model=MODEL, input="Hello world")
    assert (found.output_text, found.status) == (REPLY, "completed")
    assert found.usage and found.usage.output_tokens == 4


@CHECKS.add("`responses.stream`")
def response_stream(target: Target) -> None:
    with _client(target) as client, client.responses.stream(model=MODEL, input="Hello world") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(deltas) == final.output_text == REPLY
    assert final.usage and final.usage.output_tokens == 4


@CHECKS.add("`models.list`, `models.retrieve`")
def models(target: Target) -> None:
    with _client(target) as client:
        assert [model.id for model in client.models.list()] == [MODEL]
        assert client.models.retrieve(MODEL).id == MODEL


@CHECKS.add("an unknown model raises `NotFoundError` with the code `model_not_found`")
def unknown_model(target: Target) -> None:
    with _client(target) as client:
        try:
            client.models.retrieve("other")
        except openai.NotFoundError as error:
            assert (error.code, error.param) == ("model_not_found", "model")
        else:
            raise AssertionError("no error was raised")


@CHECKS.add("an unknown route raises `NotFoundError` with an `error` object")
def unknown_route(target: Target) -> None:
    with _client(target) as client:
        try:
            client.moderations.create(input="x")
        except openai.NotFoundError as error:
            assert isinstance(error.body, dict) and "There is no route" in error.body["message"], error.body
        else:
            raise AssertionError("no error was raised")


@CHECKS.add("`messages=[]` and a wrong `stream` raise `BadRequestError` with `param`")
def wrong_fields(target: Target) -> None:
    wrong: dict[str, dict[str, Any]] = {"messages": {"messages": []}, "stream": {"stream": "yes"}}
    found = {param: _rejected_param(target, {"model": MODEL, "messages": MESSAGES, **wrong[param]}) for param in wrong}
    assert found == {param: param for param in wrong}


def _rejected_param(target: Target, fields: dict[str, Any]) -> str | None:
    with _client(target) as client:
        try:
            client.chat.completions.create(**fields)
        except openai.BadRequestError as error:
            return error.param
    raise AssertionError(f"no error was raised for {fields}")


@CHECKS.add("`responses.create(previous_response_id=...)`")
def previous_response(target: Target) -> None:
    with _client(target) as client:
        reject(
            lambda: client.responses.create(model=MODEL, input="x", previous_response_id="resp_1"),
            openai.BadRequestError,
            "previous_response_id",
        )
    raise NotSupported("nothing is kept; 400 that names the field")


@CHECKS.add("`files`, `images`, `audio`, `batches`, `fine_tuning`, `moderations`")
def other_resources(target: Target) -> None:
    with _client(target) as client:
        calls: list[Any] = [client.files.list, client.batches.list, client.fine_tuning.jobs.list]
        calls.append(lambda: client.images.generate(prompt="x"))
        for call in calls:
            reject(call, openai.NotFoundError, "There is no route")
    raise NotSupported("404 with an `error` object")
