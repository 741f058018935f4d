"""Chat and the list of models, byte for byte and through OpenAI's own client."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.api.aborted_responses import (
    disconnect_after_first_chunk,
    reset_after_first_byte,
    wait_until_recorded,
)
from tests.api.all_servers import FRAMEWORKS, Servers, running_servers
from tests.api.models import write_code
from tests.api.responses import Response, assert_same_response, request_all, same_response
from tests.api.streaming_models import CHAT, MODELS, SCORE_ONLY
from tests.cases import each_case
from tests.processes import RunningServer

pytestmark = pytest.mark.process

ROUTES = ["/chat/completions", "/chat/completions/", "/v1/chat/completions", "/v1/chat/completions/"]
MODEL_ROUTES = ["/models", "/models/", "/v1/models", "/v1/models/"]
LLM_ID_ENTRY = {"id": "my-llm", "object": "model", "created": 1735689600, "owned_by": "DataRobot"}
TOOLS: Any = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chat")


@pytest.fixture(scope="module")
def all_servers(folder: Path) -> Iterator[Servers]:
    """A model that chats and lists no models; the parameter ``LLM_ID`` names one."""
    model = write_code(folder / "model", CHAT)
    environment = {"TARGET_NAME": "response", "MLOPS_RUNTIME_PARAM_LLM_ID": '{"type":"string","payload":"my-llm"}'}
    with running_servers(
        folder, "--code-dir", model, "--target-type", "textgeneration", environment=environment
    ) as servers:
        yield servers


@pytest.fixture(scope="module")
def listing_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A model that chats and lists models, below a prefix."""
    folder = tmp_path_factory.mktemp("listing")
    model = write_code(folder / "model", CHAT + MODELS)
    environment = {"TARGET_NAME": "response", "URL_PREFIX": "/a/b", "DRUM_CLIENT_REQUEST_TIMEOUT": "30"}
    with running_servers(
        folder,
        "--code-dir",
        model,
        "--target-type",
        "agenticworkflow",
        environment=environment,
        server_types=FRAMEWORKS,
    ) as servers:
        yield servers


@pytest.fixture(scope="module")
def scoring_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A text generation model with a score hook alone."""
    folder = tmp_path_factory.mktemp("scoring")
    model = write_code(folder / "model", SCORE_ONLY)
    environment = {"TARGET_NAME": "response"}
    with running_servers(
        folder, "--code-dir", model, "--target-type", "textgeneration", environment=environment, server_types=FRAMEWORKS
    ) as servers:
        yield servers


@pytest.fixture
def client(all_servers: Servers) -> Iterator[OpenAI]:
    """OpenAI's client of one server: other tests compare the bytes of all servers."""
    http_client = openai.DefaultHttpxClient(trust_env=False)
    with OpenAI(
        base_url=f"{all_servers['fastapi'].url}/v1", api_key="none", max_retries=0, http_client=http_client
    ) as client:
        yield client


def said(text: str, **more: Any) -> dict[str, Any]:
    """Return a request whose last message is ``text``."""
    return {"model": "any", "messages": [{"role": "user", "content": text}], **more}


def ask(all_servers: Servers, text: str, path: str = ROUTES[0], **more: Any) -> dict[str, Response]:
    return request_all(all_servers, "POST", path, json=said(text, **more))


def without_association(response: Response) -> dict[str, Any]:
    """Return the completion without its association id, which differs each time."""
    document: dict[str, Any] = json.loads(response.body)
    assert len(document.pop("datarobot_association_id")) == 36
    return document


def completion_of(all_servers: Servers, text: str, **more: Any) -> dict[str, Any]:
    """Return the completion of all servers."""
    responses = ask(all_servers, text, **more)
    for response in responses.values():
        assert response.status == 200, response.body
        assert dict(response.headers)["content-type"] == "application/json"
    first, *others = map(without_association, responses.values())
    assert others == [first] * len(others)
    return first


def content_of(completion: dict[str, Any]) -> Any:
    return completion["choices"][0]["message"]["content"]


def events_of(response: Response) -> list[Any]:
    """Return the documents of an event stream, and the text ``[DONE]``, without comments."""
    assert dict(response.headers)["content-type"] == "text/event-stream; charset=utf-8"
    assert "content-length" not in dict(response.headers)
    assert response.body.endswith(b"\n\n")
    events = [event for event in response.body.decode().split("\n\n") if event and not event.startswith(":")]
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    return [event[6:] if event == "data: [DONE]" else json.loads(event[6:]) for event in events]


def stream_of(all_servers: Servers, text: str, **more: Any) -> list[Any]:
    """Return the events of all servers; all chunks of a stream have its association id."""
    streams = []
    for response in ask(all_servers, text, **more).values():
        assert response.status == 200, response.body
        events = events_of(response)
        chunks = [event for event in events if isinstance(event, dict) and "error" not in event]
        assert len({chunk.pop("datarobot_association_id") for chunk in chunks}) == min(1, len(chunks))
        streams.append(events)
    assert streams == [streams[0]] * len(streams)
    return streams[0]


def texts_of(events: list[Any]) -> list[Any]:
    return [event["choices"][0]["delta"].get("content") for event in events if isinstance(event, dict)]


# OpenAI's client


def test_the_client_gets_a_completion(client: OpenAI) -> None:
    completion = client.chat.completions.create(**said("Hello"))
    assert (completion.object, completion.choices[0].message.content) == ("chat.completion", "Hello")
    assert completion.usage is not None and completion.usage.total_tokens == 3


def test_the_client_gets_a_stream(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(**said("Hello dear world", stream=True)))
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["Hello", "dear", "world", ""]
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_client_accumulates_a_stream(client: OpenAI) -> None:
    with client.chat.completions.stream(**said("whole:Hello")) as stream:
        assert stream.get_final_completion().choices[0].message.content == "Hello"


def test_the_client_gets_tool_calls(client: OpenAI) -> None:
    completion = client.chat.completions.create(**said("add", tools=TOOLS))
    (call,) = completion.choices[0].message.tool_calls or []
    assert call.type == "function" and (call.function.name, call.function.arguments) == ("add", '{"a":1}')


def test_the_client_accumulates_tool_calls_from_a_stream(client: OpenAI) -> None:
    with client.chat.completions.stream(**said("add", tools=TOOLS)) as stream:
        (call,) = stream.get_final_completion().choices[0].message.tool_calls or []
    assert (call.id, call.function.arguments) == ("call-1", '{"a":1}')


def test_the_client_lists_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["my-llm"]


@each_case(
    ("text", "kind", "message"),
    [
        ("raise", openai.InternalServerError, "ValueError: the model said no"),
        ("teapot", openai.APIStatusError, "short and stout"),
        ("slow-down", openai.RateLimitError, "slow down"),
        ("fails-first", openai.InternalServerError, "ValueError: not even one"),
        ("surrogate", openai.UnprocessableEntityError, "? is half a letter"),
    ],
)
def test_the_client_raises_the_error_of_the_model(
    client: OpenAI, text: str, kind: type[openai.APIStatusError], message: str
) -> None:
    for stream in (False, True):
        with pytest.raises(kind) as caught:
            client.chat.completions.create(**said(text, stream=stream))
        assert isinstance(caught.value.body, dict)
        assert caught.value.body["message"] == message


def test_the_client_raises_an_error_in_a_stream(client: OpenAI) -> None:
    texts = []
    with pytest.raises(openai.APIError, match="ValueError: no more"):
        for chunk in client.chat.completions.create(**said("fails-later", stream=True)):
            texts.append(chunk.choices[0].delta.content)  # noqa: PERF401  # what came before the error counts
    assert texts == ["a", "b"]


def test_the_client_raises_a_bad_request(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.chat.completions.create(model="any", messages="no list")  # type: ignore[arg-type]


async def test_the_async_client_gets_the_same(all_servers: Servers) -> None:
    url = all_servers["fastapi"].url
    http_client = openai.DefaultAsyncHttpxClient(trust_env=False)
    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http_client) as client:
        completion = await client.chat.completions.create(**said("Hello"))
        assert completion.choices[0].message.content == "Hello"
        stream = await client.chat.completions.create(**said("Hello dear world", stream=True))
        assert [chunk.choices[0].delta.content async for chunk in stream] == ["Hello", "dear", "world", ""]
        with pytest.raises(openai.InternalServerError, match="the model said no"):
            await client.chat.completions.create(**said("raise"))
        with pytest.raises(openai.APIError, match="no more"):
            async for _ in await client.chat.completions.create(**said("fails-later", stream=True)):
                pass


# Completions


def test_every_path_variant_returns_a_completion(all_servers: Servers) -> None:
    for path in ROUTES:
        for response in ask(all_servers, "Hello", path).values():
            assert content_of(without_association(response)) == "Hello", path


def test_every_path_variant_is_below_the_prefix(listing_servers: Servers) -> None:
    for path in ROUTES:
        assert {response.status for response in ask(listing_servers, "Hello", path).values()} == {200}


@each_case("kind", ["pydantic", "whole", "pydantic-choices"])
def test_a_completion_may_be_an_object_or_a_dict(all_servers: Servers, kind: str) -> None:
    completion = completion_of(all_servers, f"{kind}:Höllo")
    assert content_of(completion) == "Höllo"
    assert (completion["id"], completion["object"], completion["created"]) == (
        "chatcmpl-1",
        "chat.completion",
        1700000000,
    )
    assert completion["usage"]["total_tokens"] == 3


def test_the_server_sets_the_association_id(all_servers: Servers) -> None:
    ids = {
        json.loads(response.body)["datarobot_association_id"]
        for _ in range(2)
        for response in ask(all_servers, "association:a", datarobot_association_id="mine").values()
    }
    assert len(ids) == 6
    assert "mine" not in ids


def test_the_hook_gets_the_request_unchanged(all_servers: Servers) -> None:
    more = {"model": "datarobot-deployed-llm", "temperature": 0.5, "unknown": {"a": [1, None]}, "user": "日本"}
    seen = json.loads(content_of(completion_of(all_servers, "parameters:", **more)))
    assert seen == said("parameters:", **more)


def test_a_request_may_omit_the_model_name(all_servers: Servers) -> None:
    request = {"messages": [{"role": "user", "content": "model:"}]}
    for response in request_all(all_servers, "POST", ROUTES[0], json=request).values():
        assert content_of(without_association(response)) == "None"


def test_the_hook_gets_the_headers_it_declares(all_servers: Servers) -> None:
    for name in ("x-one", "X-ONE", "X-One"):
        responses = request_all(all_servers, "POST", ROUTES[0], json=said(f"header:{name}"), headers={"x-oNE": "value"})
        assert [content_of(without_association(response)) for response in responses.values()] == ["value"] * 3


@each_case("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_request_may_have_any_media_type(all_servers: Servers, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    responses = request_all(all_servers, "POST", ROUTES[0], content=json.dumps(said("Hello")), headers=headers)
    assert {response.status for response in responses.values()} == {200}


# Streams


@each_case("kind", ["", "pydantic-chunks:", "async:"])
def test_chunks_are_sent_as_events(all_servers: Servers, kind: str) -> None:
    events = stream_of(all_servers, f"{kind}Hällo dear", stream=True)
    assert texts_of(events) == ["Hällo", "dear", ""]
    assert events[-1] == "[DONE]"


def test_proxies_neither_cache_nor_buffer_an_event_stream(server: RunningServer) -> None:
    headers = server.client.post(ROUTES[0], json=said("Hello", stream=True)).headers
    assert (headers["Cache-Control"], headers["X-Accel-Buffering"]) == ("no-cache", "no")


def test_an_iterator_is_streamed_without_stream_true(all_servers: Servers) -> None:
    assert texts_of(stream_of(all_servers, "async:a b")) == ["a", "b", ""]


def test_stream_true_sends_a_completion_as_one_chunk(all_servers: Servers) -> None:
    chunk, end = stream_of(all_servers, "whole:Hello", stream=True)
    assert end == "[DONE]"
    assert (chunk["id"], chunk["object"]) == ("chatcmpl-1", "chat.completion.chunk")
    (choice,) = chunk["choices"]
    assert choice["delta"] == {"role": "assistant", "content": "Hello"}
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")


def test_a_stream_may_be_empty(all_servers: Servers) -> None:
    assert stream_of(all_servers, "empty-stream", stream=True) == ["[DONE]"]


@each_case(
    ("text", "message", "kind"),
    [
        ("fails-later", "ValueError: no more ?", "server_error"),
        ("teapot-later", "short and stout", "invalid_request_error"),
        ("none-later", "The chat hook returned None where a chunk was expected.", "server_error"),
    ],
)
def test_an_error_after_the_first_chunk_is_the_last_event(
    all_servers: Servers, text: str, message: str, kind: str
) -> None:
    *chunks, last = stream_of(all_servers, text, stream=True)
    assert texts_of(chunks) == ["a", "b"][: len(chunks)]
    assert chunks
    assert last == {"error": {"message": message, "type": kind, "param": None, "code": None}}


@each_case("text", ["endless", "endless-async"])
def test_a_disconnect_closes_the_generator_and_frees_its_slot(
    server: RunningServer, server_type: str, folder: Path, text: str
) -> None:
    mark = f"{server_type}-{text}"
    first = disconnect_after_first_chunk(server, ROUTES[0], json=said(f"{text}:{mark}", stream=True))
    assert first.startswith(b"data: {")
    wait_until_recorded(server, folder, mark)
    assert server.client.post(ROUTES[0], json=said("Hello")).status_code == 200


@each_case("text", ["endless", "Hello dear world"])
def test_shutdown_does_not_wait_for_a_reset_connection(
    server: RunningServer, server_type: str, folder: Path, text: str
) -> None:
    """The servers have to stop cleanly when the module ends: a request that counts as in flight would keep them."""
    for number in range(5):
        mark = f"reset-{server_type}-{number}"
        reset_after_first_byte(server, ROUTES[0], json.dumps(said(f"{text}:{mark}", stream=True)).encode())
        if text == "endless":
            wait_until_recorded(server, folder, mark)
    assert server.client.post(ROUTES[0], json=said("Hello")).status_code == 200


# Errors


@each_case(
    ("text", "status", "message"),
    [
        ("raise", 500, "ValueError: the model said no"),
        ("none", 500, "The chat hook returned None where a completion was expected."),
        ("number", 500, "The chat hook returned an int where a completion was expected."),
        ("unfit", 500, "JSON cannot carry"),
        ("fails-first", 500, "ValueError: not even one"),
        ("none-first", 500, "The chat hook returned None where a chunk was expected."),
    ],
)
def test_an_error_before_the_first_byte_is_an_error_response(
    all_servers: Servers, text: str, status: int, message: str
) -> None:
    response, streamed = (same_response(ask(all_servers, text, stream=stream)) for stream in (False, True))
    assert response == streamed
    document = json.loads(response.body)
    assert response.status == status
    assert message in document["message"]
    assert document["message"].startswith("ERROR: ")
    assert document["error"].keys() == {"message", "type", "param", "code"}
    assert (message in document["error"]["message"], document["error"]["type"]) == (True, "server_error")


@each_case("text", ["teapot", "teapot-first"])
def test_a_custom_http_error_sets_the_response(all_servers: Servers, text: str) -> None:
    response = same_response(ask(all_servers, text, stream=True))
    assert (response.status, dict(response.headers)["x-drum-user-http-error"]) == (418, "true")
    assert json.loads(response.body) == {
        "message": "short and stout",
        "error": {"message": "short and stout", "type": "invalid_request_error", "param": None, "code": None},
    }


def test_a_custom_http_error_sets_headers(all_servers: Servers) -> None:
    response = same_response(ask(all_servers, "slow-down"))
    assert (response.status, dict(response.headers)["retry-after"]) == (429, "7")


@each_case(
    ("body", "message"),
    [
        (b"", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b'{"messages": [NaN]}', "not valid JSON"),
        (b"[" * 100, "not valid JSON"),
        (b"[]", "JSON object"),
        (b'{"messages": null}', "messages"),
        (b'{"messages": [{"role": "user"}, "hello"]}', "not a JSON object"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_an_invalid_request_gets_400_with_the_reason(all_servers: Servers, body: bytes, message: str) -> None:
    response = assert_same_response(all_servers, "POST", ROUTES[0], content=body)
    document = json.loads(response.body)
    assert response.status == 400
    assert message in document["message"] and message in document["error"]["message"]
    assert document["error"]["type"] == "invalid_request_error"


def test_a_model_of_another_target_type_responds_404(echo_servers: Servers) -> None:
    for path in ROUTES:
        response = same_response(ask(echo_servers, "Hello", path))
        assert (path, response.status) == (path, 404)
        assert json.loads(response.body)["error"]["type"] == "invalid_request_error"


def test_a_score_hook_responds_to_the_last_message_of_the_user(scoring_servers: Servers) -> None:
    parts = [{"type": "text", "text": "How are"}, {"type": "image_url"}, {"type": "text", "text": "you?"}]
    messages = [
        {"role": "user", "content": "Hello"},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": "Well"},
    ]
    for response in request_all(scoring_servers, "POST", ROUTES[0], json={"messages": messages}).values():
        assert response.status == 200, response.body
        assert content_of(json.loads(response.body)) == "You said: How are\nyou?"


def test_a_score_hook_streams_one_chunk_to_openais_client(scoring_servers: Servers) -> None:
    for server in scoring_servers.values():
        http_client = openai.DefaultHttpxClient(trust_env=False)
        with OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, http_client=http_client) as client:
            stream = client.chat.completions.create(
                model="any", messages=[{"role": "user", "content": "Hello"}], stream=True
            )
            assert [chunk.choices[0].delta.content for chunk in stream] == ["You said: Hello"]


def test_a_score_hook_needs_a_message_of_the_user(scoring_servers: Servers) -> None:
    for messages in ([], [{"role": "system", "content": "Be kind."}], [{"role": "user", "content": ""}]):
        response = assert_same_response(scoring_servers, "POST", ROUTES[0], json={"messages": messages})
        assert response.status == 400
        assert json.loads(response.body)["error"]["type"] == "invalid_request_error"


def test_a_model_that_only_chats_rejects_predictions(all_servers: Servers) -> None:
    response = assert_same_response(all_servers, "POST", "/predict/", content=b"a\n1\n")
    assert response.status == 422
    assert b"/chat/completions/" in response.body


@pytest.mark.parametrize(("name", "chats"), [("all_servers", True), ("scoring_servers", True), ("echo_servers", False)])
def test_capabilities_name_chat_support(request: pytest.FixtureRequest, name: str, chats: bool) -> None:
    response = assert_same_response(request.getfixturevalue(name), "GET", "/capabilities")
    assert json.loads(response.body)["supported_methods"] == {
        "chat": chats,
        "completions": chats,
        "embeddings": False,
        "responses": chats,
    }


# Models


def test_the_models_route_returns_the_list_of_the_hook(listing_servers: Servers) -> None:
    response, *variants = (assert_same_response(listing_servers, "GET", path) for path in MODEL_ROUTES)
    assert variants == [response] * 3
    document = json.loads(response.body)
    assert document["object"] == "list"
    listed, mapping, text = document["data"]
    known = {name: value for name, value in listed.items() if value is not None}
    assert known == {"id": "listed", "created": 1, "object": "model", "owned_by": "us"}
    assert mapping == {"id": "a dict", "created": 2, "object": "model", "owned_by": "DataRobot", "max_tokens": 100}
    assert text == {**LLM_ID_ENTRY, "id": "a string"}


def test_the_models_route_returns_the_runtime_parameter(all_servers: Servers) -> None:
    for path in MODEL_ROUTES:
        response = assert_same_response(all_servers, "GET", path)
        assert json.loads(response.body) == {"object": "list", "data": [LLM_ID_ENTRY]}, path


def test_the_models_route_returns_an_empty_list_without_hook_and_parameter(scoring_servers: Servers) -> None:
    assert assert_same_response(scoring_servers, "GET", "/models").body == b'{"object":"list","data":[]}'


def test_the_models_route_responds_404_for_other_target_types(echo_servers: Servers) -> None:
    for path in (*MODEL_ROUTES, "/models/my-llm"):
        response = assert_same_response(echo_servers, "GET", path)
        assert (path, response.status) == (path, 404)
        assert b"message" in response.body


def test_a_single_model_has_a_route(all_servers: Servers) -> None:
    for path in ("/models/my-llm", "/v1/models/my-llm", "/v1/models/my-llm/"):
        response = assert_same_response(all_servers, "GET", path)
        assert (response.status, json.loads(response.body)) == (200, LLM_ID_ENTRY)
