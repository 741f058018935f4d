"""Text generation and chat by a model of transformers in a folder."""

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openai import OpenAI

from datarobot_drum.drum.exceptions import BadRequest, UnprocessableInput
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.language_predictors.unstructured import UnstructuredInput
from tests.artifact_predictors.loaded_models import predict_csv
from tests.artifact_predictors.tiny_transformers import TEMPLATE, save_gpt
from tests.processes import RunningServer

PROMPT = [{"role": "user", "content": "a good film"}]


def chat(predictor: Any, **params: Any) -> Any:
    return predictor.chat({"messages": PROMPT, **params}, {})


def own_text(pipeline: Any, text: str, count: int) -> str:
    text = pipeline(text, return_full_text=False, do_sample=False, max_new_tokens=count)[0]["generated_text"]
    return text


@pytest.fixture
def generator(load: Callable[..., Any]) -> Callable[[], Any]:
    return lambda: load("textgeneration", target_name="answer")


def test_rows_are_continued_as_by_the_pipeline(generator: Callable[[], Any], tmp_path: Path) -> None:
    pipeline = save_gpt(tmp_path, max_new_tokens=5)
    rows = pd.DataFrame({"note": ["x", "y"], "promptText": ["a good film", "very ugly"]})
    predictions = predict_csv(generator(), rows)
    assert predictions.columns == ("answer",)
    assert predictions.values[:, 0].tolist() == [own_text(pipeline, text, 5) for text in rows["promptText"]]


def test_chat_fills_the_template(generator: Callable[[], Any], tmp_path: Path) -> None:
    pipeline = save_gpt(tmp_path, TEMPLATE, max_new_tokens=5)
    predictor = generator()
    completion = chat(predictor)
    (choice,) = completion["choices"]
    assert choice["message"]["content"] == own_text(pipeline, "user says a good film assistant says ", 5)
    assert completion["usage"] == {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    assert choice["finish_reason"] == "length"
    assert (
        predict_csv(predictor, pd.DataFrame({"promptText": ["a good film"]})).values[0, 0]
        == (choice["message"]["content"])
    )


def test_chunks_together_are_the_completion(generator: Callable[[], Any], tmp_path: Path) -> None:
    save_gpt(tmp_path, TEMPLATE)
    predictor = generator()
    whole = chat(predictor, max_tokens=12)["choices"][0]["message"]["content"]
    chunks = list(chat(predictor, max_tokens=12, stream=True, stream_options={"include_usage": True}))
    texts = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"]]
    assert "".join(texts) == whole and len(texts) > 4
    assert [chunks[0]["choices"][0]["delta"]["role"], chunks[-2]["choices"][0]["finish_reason"]] == [
        "assistant",
        "length",
    ]
    assert chunks[-1]["usage"]["completion_tokens"] == 12


def test_a_stop_text_ends_completion_and_stream(generator: Callable[[], Any], tmp_path: Path) -> None:
    save_gpt(tmp_path, TEMPLATE)
    predictor, sampling = generator(), {"max_tokens": 12, "temperature": 2, "seed": 3}
    words = chat(predictor, **sampling)["choices"][0]["message"]["content"].split()
    stop = next(word for word in words[2:] if word not in words[:2])
    expected = " ".join(words).partition(stop)[0]
    assert expected and chat(predictor, **sampling, stop=stop)["choices"][0]["message"]["content"] == expected
    chunks = chat(predictor, **sampling, stop=[stop], stream=True)
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == expected


def test_a_closed_stream_stops_the_generation(generator: Callable[[], Any], tmp_path: Path) -> None:
    save_gpt(tmp_path, TEMPLATE)
    chunks = chat(generator(), max_tokens=50, stream=True)
    next(chunks), next(chunks)
    running = [thread for thread in threading.enumerate() if thread.name == "generation"]
    chunks.close()
    assert not any(thread.is_alive() for thread in running)


def test_a_seed_repeats_a_sampled_text(generator: Callable[[], Any], tmp_path: Path) -> None:
    save_gpt(tmp_path, TEMPLATE)
    predictor = generator()
    texts = [
        chat(predictor, max_tokens=20, temperature=1.5, seed=seed)["choices"][0]["message"]["content"]
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"max_tokens": 0}, "max_tokens must be a whole number above 0"),
        ({"max_tokens": 60}, "7 tokens and 60 new ones, and the model takes 64"),
        ({"temperature": -1}, "temperature must be a number from 0 to 2"),
        ({"temperature": True}, "temperature must be a number"),
        ({"top_p": 0}, "top_p must be above 0"),
        ({"n": 2}, "n must be 1"),
        ({"stop": ["a"] * 5}, "at most 4 texts"),
        ({"stop": ""}, "at most 4 texts"),
        ({"tools": [{}]}, "tools is not supported"),
        ({"frequency_penalty": 1}, "frequency_penalty is not supported"),
        ({"messages": [{"content": "a"}]}, "no role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "takes text only"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "template of the model rejects the messages: no tools"),
        ({"messages": [{"role": "user", "content": "good " * 70}]}, "and the model takes 64: shorten it"),
    ],
)
def test_invalid_parameters_are_rejected(
    generator: Callable[[], Any], tmp_path: Path, params: dict[str, Any], message: str
) -> None:
    save_gpt(tmp_path, TEMPLATE)
    predictor = generator()
    for is_stream in (False, True):
        with pytest.raises(BadRequest, match=message):
            chat(predictor, stream=is_stream, **params)


def test_a_prompt_that_is_too_long_is_rejected(generator: Callable[[], Any], tmp_path: Path) -> None:
    save_gpt(tmp_path)
    with pytest.raises(UnprocessableInput, match="model takes 64: shorten it"):
        predict_csv(generator(), pd.DataFrame({"promptText": ["good " * 70]}))


def test_unstructured_bodies_are_continued(load: Callable[..., Any], tmp_path: Path) -> None:
    pipeline = save_gpt(tmp_path)
    body = json.dumps({"inputs": "a good film", "parameters": {"max_new_tokens": 4}}).encode()
    request = UnstructuredInput(io.BytesIO(body), "application/json")
    response = json.loads(load("unstructured").predict_unstructured(request).content)
    assert response == [{"generated_text": own_text(pipeline, "a good film", 4)}]


def test_text_that_may_start_a_stop_is_held_back() -> None:
    held = import_from_string("datarobot_drum.drum.artifact_predictors.huggingface_stream:HeldText")(["END", "EX"])
    assert [held.add("a E"), held.add("N"), held.add("N"), held.add(" EN"), held.add("D b"), held.end()] == [
        "a ", "", "ENN", " ", "", "",
    ]  # fmt: skip


@pytest.mark.process
@pytest.mark.parametrize("server_type", ["flask", "gunicorn", "fastapi"])
def test_openai_client_chats_on_every_server(tmp_path: Path, server_type: str) -> None:
    pipeline = save_gpt(tmp_path / "model", TEMPLATE, max_new_tokens=5)
    expected = own_text(pipeline, "user says a good film assistant says ", 5)
    arguments = ("--code-dir", tmp_path, "--target-type", "textgeneration")
    environment = {"DRUM_SERVER_TYPE": server_type, "TARGET_NAME": "answer", "DRUM_LAME_DUCK_SECONDS": "0"}
    with RunningServer(*arguments, log=tmp_path / "log.txt", environment=environment) as server:
        with OpenAI(base_url=f"{server.client.base_url}/v1", api_key="none", max_retries=0) as client:
            create: Any = client.chat.completions.create
            assert create(model="m", messages=PROMPT).choices[0].message.content == expected
            chunks = create(model="m", messages=PROMPT, stream=True)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == expected
        assert server.client.post("/v1/chat/completions", json={"messages": PROMPT, "n": 2}).status_code == 400
        row = server.client.post("/predict/", content="promptText\na good film\n")
        assert row.json()["predictions"] == [{"answer": expected}]
        assert server.client.get("/info/").json()["predictor"] == "transformers"
