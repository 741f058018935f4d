"""Responses of a text generation model: objects with the name of the target as key."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.all_servers import FRAMEWORKS, Servers, running_servers
from tests.api.models import TEXT, write_code
from tests.api.responses import Response, assert_same_response
from tests.cases import each_case

pytestmark = pytest.mark.process

TARGET = "reply: é"


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("text")
    model = write_code(folder / "model", TEXT)
    arguments = ["--code-dir", str(model), "--target-type", "textgeneration"]
    with running_servers(folder, *arguments, environment={"TARGET_NAME": TARGET}, server_types=FRAMEWORKS) as servers:
        yield servers


def ask(all_servers: Servers, *prompts: str) -> dict[str, Any]:
    body = "prompt\n" + "\n".join(prompts) + "\n"
    response: Response = assert_same_response(all_servers, "POST", "/predict/", content=body.encode())
    assert response.status == 200, response.body
    document: dict[str, Any] = json.loads(response.body)
    return document


def test_predictions_name_the_target(all_servers: Servers) -> None:
    assert ask(all_servers, "hello", "bye") == {
        "predictions": [{TARGET: "You said hello."}, {TARGET: "You said bye."}],
    }


def test_a_missing_text_becomes_null(all_servers: Servers) -> None:
    assert ask(all_servers, "none") == {"predictions": [{TARGET: None}]}


@each_case(
    ("prompt", "text"),
    [("quote", '"\\\n\t'), ("unicode", "日本 \U0001f600"), ("markup", "</script>"), ("é", "You said é.")],
)
def test_any_text_is_returned_unchanged(all_servers: Servers, prompt: str, text: str) -> None:
    assert ask(all_servers, prompt)["predictions"] == [{TARGET: text}]


def test_further_columns_become_extra_model_output(all_servers: Servers) -> None:
    document = ask(all_servers, "extra", "bye")
    assert document["extraModelOutput"] == [{"tokens": 15}, {"tokens": 13}]
    assert [list(element) for element in document["predictions"]] == [[TARGET], [TARGET]]


def test_info_names_the_target_type(all_servers: Servers) -> None:
    types = {name: server.client.get("/info/").json()["targetType"] for name, server in all_servers.items()}
    assert types == dict.fromkeys(FRAMEWORKS, "textgeneration")
