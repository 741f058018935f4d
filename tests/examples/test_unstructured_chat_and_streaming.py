"""The examples without training, on FastAPI: the requests of their READMEs."""

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import openai
import pytest
import yaml

from tests.processes import RunningServer

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NAMES = ["unstructured_text", "chat_echo", "streaming_text"]

Serve = Callable[[str], RunningServer]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serve an example by its name, once for all tests, as ``make serve`` does."""
    logs = tmp_path_factory.mktemp("logs")
    servers: dict[str, RunningServer] = {}
    with ExitStack() as stack:

        def start(name: str) -> RunningServer:
            if name not in servers:
                environment = {"DRUM_SERVER_TYPE": "fastapi", "DRUM_LAME_DUCK_SECONDS": "0"}
                server = RunningServer("--code-dir", EXAMPLES / name, log=logs / name, environment=environment)
                servers[name] = stack.enter_context(server)
            return servers[name]

        yield start


def follow_readme(server: RunningServer, name: str) -> httpx.Response:
    """Send the request of the README's curl command."""
    lines = (EXAMPLES / name / "README.md").read_text(encoding="utf-8").splitlines()
    (request,) = (line for line in lines if line.startswith("Call it: "))
    words = shlex.split(request.removeprefix("Call it: ").strip("`"))
    assert words[0] == "curl" and words[words.index("-X") + 1] == "POST"
    header, _, value = words[words.index("-H") + 1].partition(": ")
    body = (ROOT / words[words.index("--data-binary") + 1].removeprefix("@")).read_bytes()
    path = words[-1].removeprefix("http://127.0.0.1:8080")
    return server.client.post(path, content=body, headers={header: value})


def promised(name: str) -> list[str]:
    """Return the text in backquotes of the README's last line."""
    last = (EXAMPLES / name / "README.md").read_text(encoding="utf-8").splitlines()[-1]
    return last.split("`")[1::2]


@pytest.mark.parametrize("name", NAMES)
def test_readme_has_five_lines_and_names_its_example(name: str) -> None:
    title, hooks, serving, request, response = (EXAMPLES / name / "README.md").read_text(encoding="utf-8").splitlines()
    assert title.startswith("# ") and hooks.startswith("`custom.py`") and response.startswith("The response")
    assert serving == f"Serve it: `make serve MODEL=examples/{name}`"
    assert f"@examples/{name}/sample." in request


@pytest.mark.parametrize("name", NAMES)
def test_info_route_returns_the_metadata(serve: Serve, name: str) -> None:
    metadata = yaml.safe_load((EXAMPLES / name / "model-metadata.yaml").read_text())
    info = serve(name).client.get("/info/").json()
    assert (info["targetType"], info["modelMetadata"]) == (metadata["targetType"], metadata)


# Word count


def test_sample_text_is_counted(serve: Serve) -> None:
    response = follow_readme(serve("unstructured_text"), "unstructured_text")
    assert response.headers["Content-Type"] == "application/json;charset=utf-8"
    assert response.text == promised("unstructured_text")[0]


def test_bytes_are_counted_separately(serve: Serve) -> None:
    response = serve("unstructured_text").client.post(
        "/predictUnstructured/", content=b"\x00\xff", headers={"Content-Type": "image/png"}
    )
    assert response.json() == {"mimetype": "image/png", "bytes": 2}


def test_invalid_number_of_words_is_rejected(serve: Serve) -> None:
    response = serve("unstructured_text").client.post("/predictUnstructured/?top=many", content=b"a")
    assert (response.status_code, response.json()) == (422, {"message": "top must be a whole number, not 'many'."})


# Echo


def test_sample_message_is_streamed_word_by_word(serve: Serve) -> None:
    response = follow_readme(serve("chat_echo"), "chat_echo")
    *events, end = response.text.split("\n\n")[:-1]
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert end == promised("chat_echo")[1]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    words = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert len(words) == 6
    assert "".join(words) == promised("chat_echo")[2]


def test_openai_client_chats(serve: Serve) -> None:
    http_client = openai.DefaultHttpxClient(trust_env=False)
    with openai.OpenAI(base_url=serve("chat_echo").url, api_key="any", http_client=http_client) as client:
        (model,) = client.models.list()
        completion = client.chat.completions.create(
            model=model.id, messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
        )
        assert completion.choices[0].message.content == "You said: Hello"
        assert completion.usage is not None and completion.usage.total_tokens == 6
        with pytest.raises(openai.BadRequestError, match="empty list"):
            client.chat.completions.create(model=model.id, messages=[])


def test_openai_client_uses_every_other_route(serve: Serve) -> None:
    http_client = openai.DefaultHttpxClient(trust_env=False)
    with openai.OpenAI(base_url=serve("chat_echo").url, api_key="any", http_client=http_client) as client:
        assert client.models.retrieve("echo").id == "echo"
        completion = client.completions.create(model="echo", prompt="Hello")
        assert completion.choices[0].text == "You said: Hello"
        response = client.responses.create(model="echo", input="Hello")
        assert response.output_text == "You said: Hello"
        assert response.usage is not None and response.usage.total_tokens == 4
        embeddings = client.embeddings.create(model="echo", input=["Abba", "cab"])
        assert [item.embedding[:3] for item in embeddings.data] == [[2.0, 2.0, 0.0], [1.0, 1.0, 1.0]]
        assert embeddings.usage.prompt_tokens == 2


# Chain of words


def test_sample_prompts_are_streamed(serve: Serve) -> None:
    server = serve("streaming_text")
    response = follow_readme(server, "streaming_text")
    assert response.headers["X-Streaming"] == "true"
    lines = response.text.splitlines()
    assert [len(line.split()) for line in lines] == [20, 20]
    sample = (EXAMPLES / "streaming_text" / "sample.csv").read_bytes()
    whole = server.client.post("/predict/", content=sample, headers={"Content-Type": "text/csv"})
    assert whole.json() == {"predictions": [{"text": line} for line in lines]}


def test_words_arrive_in_separate_chunks(serve: Serve) -> None:
    server = serve("streaming_text")
    with server.client.stream("POST", "/predictionsStream/", content=b"prompt\nthe wind\n") as response:
        pieces = list(response.iter_raw())
    assert len(pieces) > 10


@pytest.mark.parametrize("media_type", ["text/event-stream", "application/x-ndjson"])
def test_accept_header_wraps_words(serve: Serve, media_type: str) -> None:
    response = serve("streaming_text").client.post(
        "/predictionsStream/", content=b"prompt\nany\n", headers={"Accept": media_type}
    )
    assert response.headers["Content-Type"].partition(";")[0] == media_type
    chunks = [json.loads(line[line.index("{") :])["chunk"] for line in response.text.splitlines() if "{" in line]
    assert len("".join(chunks).split()) == 20
    assert all(chunk.startswith(" ") for chunk in chunks[1:-1])
