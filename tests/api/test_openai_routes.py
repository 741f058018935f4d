"""Completions, embeddings, responses and single models, byte for byte and through OpenAI's own client."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.api.aborted_responses import disconnect_after_first_chunk, wait_until_recorded
from tests.api.all_servers import Servers, running_servers
from tests.api.models import write_code
from tests.api.openai_models import ALL_HOOKS, ONLY_CHAT, ONLY_EMBED
from tests.api.responses import Response, assert_same_response, request_all

pytestmark = pytest.mark.process

LIMIT = 20_000
TEXT_ENVIRONMENT = {"TARGET_NAME": "response", "DRUM_MAX_UPLOAD_SIZE": str(LIMIT), "DRUM_MAX_JSON_DEPTH": "20"}
POSTS = {
    "/completions": {"prompt": "Hello"},
    "/embeddings": {"input": "Hello"},
    "/responses": {"input": "Hello"},
}
ROUTES = [prefix + path for path in POSTS for prefix in ("", "/v1")]


def _serve(folder: Path, code: str) -> Any:
    model = write_code(folder / "model", code)
    arguments: list[str | Path] = ["--code-dir", model, "--target-type", "textgeneration"]
    return running_servers(folder, *arguments, environment=TEXT_ENVIRONMENT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("openai")


@pytest.fixture(scope="module")
def all_servers(folder: Path) -> Iterator[Servers]:
    """A model with every hook of the interface."""
    with _serve(folder, ALL_HOOKS) as servers:
        yield servers


@pytest.fixture(scope="module")
def chat_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A model with a chat hook alone."""
    with _serve(tmp_path_factory.mktemp("chat"), ONLY_CHAT) as servers:
        yield servers


@pytest.fixture(scope="module")
def embed_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A model with an embed hook alone."""
    with _serve(tmp_path_factory.mktemp("embed"), ONLY_EMBED) as servers:
        yield servers


def _client(url: str) -> OpenAI:
    return OpenAI(base_url=url, api_key="none", max_retries=0, http_client=openai.DefaultHttpxClient(trust_env=False))


@pytest.fixture
def client(all_servers: Servers, server_type: str) -> Iterator[OpenAI]:
    with _client(f"{all_servers[server_type].url}/v1") as client:
        yield client


@pytest.fixture
def chat_client(chat_servers: Servers) -> Iterator[OpenAI]:
    with _client(f"{chat_servers['fastapi'].url}/v1") as client:
        yield client


_VARYING = re.compile(rb'"(id|item_id|datarobot_association_id)":"[^"]*"|"created(_at)?":\d+')


def _without_ids(response: Response) -> tuple[int, bytes]:
    return response.status, _VARYING.sub(b"", response.body)


# OpenAI's client


def test_client_completes_a_prompt(client: OpenAI) -> None:
    completion = client.completions.create(model="any", prompt="Hello world")
    assert (completion.object, completion.model, completion.choices[0].text) == (
        "text_completion",
        "any",
        "Hello world",
    )
    assert completion.usage is not None and completion.usage.total_tokens == 4
    several = client.completions.create(model="any", prompt=["a", "b"])
    assert [choice.text for choice in several.choices] == ["a", "b"]


def test_client_streams_a_completion_with_its_usage(client: OpenAI) -> None:
    stream = client.completions.create(
        model="any", prompt="Hello world", stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = stream
    assert [chunk.choices[0].text for chunk in chunks] == ["Hello ", "world ", ""]
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert last.choices == [] and last.usage is not None and last.usage.completion_tokens == 2


@pytest.mark.parametrize("more", [{}, {"encoding_format": "float"}], ids=["base64", "float"])
def test_client_embeds_texts(client: OpenAI, more: dict[str, Any]) -> None:
    response = client.embeddings.create(model="any", input=["ab", "c d e"], **more)
    (short, long) = (item.embedding for item in response.data)
    assert (short[0], long[0], [item.index for item in response.data]) == (2.0, 5.0, [0, 1])
    assert long[1:] == pytest.approx([0.1, 1 / 3], abs=1e-7)
    assert response.usage.prompt_tokens == 4


def test_client_embeds_tokens_with_fewer_dimensions(client: OpenAI) -> None:
    response = client.embeddings.create(model="any", input=[[1, 2, 3], [4]], dimensions=1)
    assert [item.embedding for item in response.data] == [[3.0], [1.0]]
    with pytest.raises(openai.BadRequestError, match="3 dimensions") as caught:
        client.embeddings.create(model="any", input="a", dimensions=4)
    assert caught.value.param == "dimensions"


def test_client_gets_a_response(client: OpenAI) -> None:
    response = client.responses.create(model="any", input="Hello world")
    assert (response.output_text, response.status, response.model) == ("Hello world", "completed", "any")
    assert response.usage is not None and response.usage.total_tokens == 4


def test_client_streams_a_response(client: OpenAI) -> None:
    with client.responses.stream(model="any", input="Hello world") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert (deltas, final.output_text) == (["Hello ", "world "], "Hello world ")


def test_client_finds_a_model(client: OpenAI) -> None:
    assert client.models.retrieve("meta/tiny").id == "meta/tiny"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("unknown")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(("text", "status"), [("teapot", 418), ("raise", 500)])
def test_client_raises_the_error_of_the_model(client: OpenAI, path: str, text: str, status: int) -> None:
    create: Any = getattr(client, path.strip("/")).create
    (field,) = POSTS[path]
    for more in ({}, {} if path == "/embeddings" else {"stream": True}):
        with pytest.raises(openai.APIStatusError) as caught:
            create(model="any", **{field: text}, **more)
        assert caught.value.status_code == status and isinstance(caught.value.body, dict)


@pytest.mark.parametrize("path", ["completions", "responses"])
def test_client_raises_an_error_in_a_stream(client: OpenAI, path: str) -> None:
    create: Any = getattr(client, path).create
    (field,) = POSTS[f"/{path}"]
    stream = create(model="any", **{field: "Hello raise"}, stream=True)
    with pytest.raises(openai.APIError, match="the model said no"):
        list(stream)


async def test_async_client_gets_the_same(all_servers: Servers) -> None:
    http_client = openai.DefaultAsyncHttpxClient(trust_env=False)
    url = all_servers["fastapi"].url
    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http_client) as client:
        stream = await client.completions.create(model="any", prompt="Hello world", stream=True)
        assert [chunk.choices[0].text async for chunk in stream] == ["Hello ", "world ", ""]
        vectors = await client.embeddings.create(model="any", input="ab")
        assert vectors.data[0].embedding[0] == 2.0
        async with client.responses.stream(model="any", input="Hello world") as responses:
            assert (await responses.get_final_response()).output_text == "Hello world "
        assert (await client.models.retrieve("other")).id == "other"


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/responses"])
def test_disconnect_closes_the_generator_and_frees_its_slot(
    all_servers: Servers, server_type: str, folder: Path, path: str
) -> None:
    server = all_servers[server_type]
    mark = f"endless-{server_type}-{path.rpartition('/')[2]}"
    (field,) = POSTS[path.removeprefix("/v1")]
    first = disconnect_after_first_chunk(server, path, json={field: mark, "stream": True})
    assert b"data: {" in first
    wait_until_recorded(server, folder, mark)
    assert server.client.post(path, json={field: "Hello"}).status_code == 200


# A model that only chats


def test_completions_and_responses_are_made_by_chat(chat_client: OpenAI) -> None:
    completion = chat_client.completions.create(model="any", prompt=["Hello world", "b"])
    assert [choice.text for choice in completion.choices] == ["Hello world ", "b "]
    assert completion.usage is None
    chunks = chat_client.completions.create(model="any", prompt="Hello world", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Hello world "
    messages: Any = [{"role": "user", "content": [{"type": "input_text", "text": "Hello world"}]}]
    assert chat_client.responses.create(model="any", input=messages).output_text == "Hello world "


def test_responses_call_tools_by_chat(chat_client: OpenAI) -> None:
    tools: Any = [{"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": False}]
    with chat_client.responses.stream(model="any", input="add", tools=tools) as stream:
        (call,) = stream.get_final_response().output
    assert call.type == "function_call" and (call.call_id, call.name, call.arguments) == ("call-1", "add", '{"a":1}')


def test_embeddings_need_their_hook(chat_servers: Servers) -> None:
    response = assert_same_response(chat_servers, "POST", "/v1/embeddings", json={"input": "a"})
    assert response.status == 404 and b"embed hook" in response.body


# A model that only embeds


def test_model_that_only_embeds_serves_nothing_else(embed_servers: Servers) -> None:
    methods = json.loads(assert_same_response(embed_servers, "GET", "/capabilities/").body)["supported_methods"]
    assert methods == {"chat": False, "completions": False, "embeddings": True, "responses": False}
    response = assert_same_response(embed_servers, "POST", "/embeddings", json={"input": ["a", "bc"]})
    document = json.loads(response.body)
    assert [item["embedding"] for item in document["data"]] == [[1.0], [2.0]] and document["usage"] is None
    for path, body in [*list(POSTS.items())[::2], ("/chat/completions", {"messages": [{"role": "user"}]})]:
        assert assert_same_response(embed_servers, "POST", path, json=body).status == 404
    predicted = assert_same_response(embed_servers, "POST", "/predict/", content=b"a\n1\n")
    assert predicted.status == 422 and b"use /v1/embeddings" in predicted.body
    tokens = assert_same_response(embed_servers, "POST", "/embeddings", json={"input": [1, 2]})
    assert tokens.status == 400 and b"send texts" in tokens.body


# The same bytes on all servers


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "more", [{}, {"stream": True, "stream_options": {"include_usage": True}}], ids=["whole", "stream"]
)
def test_all_servers_send_the_same_bytes(all_servers: Servers, path: str, more: dict[str, Any]) -> None:
    body = {**POSTS[path.removeprefix("/v1")], **more}
    for variant in (path, f"{path}/"):
        first, *others = map(_without_ids, request_all(all_servers, "POST", variant, json=body).values())
        assert first[0] == 200 and others == [first, first]


@pytest.mark.parametrize("path", ["/v1/models/meta/tiny", "/models/meta%2Ftiny", "/v1/models/other/"])
def test_a_single_model_is_the_same_on_all_servers(all_servers: Servers, path: str) -> None:
    response = assert_same_response(all_servers, "GET", path)
    assert response.status == 200 and json.loads(response.body)["owned_by"] == "DataRobot"


# Errors have OpenAI's object


def _error_of(response: Response) -> tuple[int, dict[str, Any]]:
    document = json.loads(response.body)
    assert document["message"] and document["error"].keys() == {"message", "type", "param", "code"}
    return response.status, document["error"]


@pytest.mark.parametrize("path", ROUTES)
def test_every_error_has_the_object_of_openai(all_servers: Servers, path: str) -> None:
    field = next(iter(POSTS[path.removeprefix("/v1")]))
    cases: list[tuple[int, str, dict[str, Any]]] = [
        (400, "POST", {"content": b"{"}),
        (400, "POST", {"json": {field: []}}),
        (405, "GET", {}),
        (405, "DELETE", {}),
        (413, "POST", {"content": b" " * (LIMIT + 1)}),
        (415, "POST", {"content": b"{}", "headers": {"Content-Encoding": "br"}}),
        (422, "POST", {"content": b"[" * 30}),
    ]
    for status, method, details in cases:
        found, error = _error_of(assert_same_response(all_servers, method, path, **details))
        assert (found, error["type"]) == (status, "invalid_request_error"), (method, details)


def test_client_reads_the_error_of_too_large_headers(client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError, match="larger than 64 KiB") as caught:
        client.embeddings.create(model="any", input="a", extra_headers={"X-Long": "a" * 70_000})
    assert (caught.value.status_code, caught.value.type) == (431, "invalid_request_error")


@pytest.mark.parametrize(
    "path", ["/v1/unknown", "/v1/responses/resp_1", "/v1/completions/x", "/embeddings/x", "/v1/models/nothing"]
)
def test_unknown_routes_have_the_object_of_openai(all_servers: Servers, path: str) -> None:
    status, error = _error_of(assert_same_response(all_servers, "GET", path))
    assert (status, error["type"]) == (404, "invalid_request_error")


@pytest.mark.parametrize("path", ROUTES)
def test_error_server_has_the_object_of_openai(error_servers: Servers, path: str) -> None:
    status, error = _error_of(assert_same_response(error_servers, "POST", path, json={}))
    assert (status, error["type"]) == (513, "server_error")


@pytest.mark.parametrize("path", ROUTES)
def test_other_target_types_have_none_of_the_routes(echo_servers: Servers, path: str) -> None:
    assert _error_of(assert_same_response(echo_servers, "POST", path, json={}))[0] == 404
