"""Answers of a text generation model: objects under the name of the target."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.answers import Answer, ask_all, the_one
from tests.api.models import TEXT, write_code
from tests.api.trios import Trio, running_trio

pytestmark = pytest.mark.process

TARGET = "reply: é"


@pytest.fixture(scope="module")
def text_trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    folder = tmp_path_factory.mktemp("text")
    model = write_code(folder / "model", TEXT)
    arguments = ["--code-dir", str(model), "--target-type", "textgeneration"]
    with running_trio(folder, *arguments, environment={"TARGET_NAME": TARGET}) as trio:
        yield trio


def ask(trio: Trio, *prompts: str) -> dict[str, Any]:
    body = "prompt\n" + "\n".join(prompts) + "\n"
    answer: Answer = the_one(ask_all(trio, "POST", "/predict/", content=body.encode()))
    assert answer.status == 200, answer.body
    document: dict[str, Any] = json.loads(answer.body)
    return document


def test_each_text_stands_under_the_name_of_the_target(text_trio: Trio) -> None:
    assert ask(text_trio, "hello", "bye") == {
        "predictions": [{TARGET: "You said hello."}, {TARGET: "You said bye."}],
    }


def test_a_missing_text_is_null(text_trio: Trio) -> None:
    assert ask(text_trio, "none") == {"predictions": [{TARGET: None}]}


@pytest.mark.parametrize(
    ("prompt", "text"),
    [("quote", '"\\\n\t'), ("unicode", "日本 \U0001f600"), ("markup", "</script>"), ("é", "You said é.")],
)
def test_any_text_survives_the_journey(text_trio: Trio, prompt: str, text: str) -> None:
    assert ask(text_trio, prompt)["predictions"] == [{TARGET: text}]


def test_further_columns_are_extra_model_output(text_trio: Trio) -> None:
    document = ask(text_trio, "extra", "bye")
    assert document["extraModelOutput"] == [{"tokens": 15}, {"tokens": 13}]
    assert [list(element) for element in document["predictions"]] == [[TARGET], [TARGET]]


def test_info_tells_the_target_type(text_trio: Trio) -> None:
    for server in text_trio.values():
        assert server.client.get("/info/").json()["targetType"] == "textgeneration"
