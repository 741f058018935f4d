"""What ``/openapi.json`` and ``/playground/models.json`` say of a model: columns, types, labels and sample."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from openapi_spec_validator import validate
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.model_loading.warm_up import find_sample
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.model_state import ModelState
from datarobot_drum.drum.serving.openapi.docs_page import DescribedModel, OpenApiHandlers
from tests.cases import each_case
from tests.input_schema.loading import predict_csv
from tests.language_predictors.builders import model_settings

Json = dict[str, Any]

SCORE = "def score(data, model, **kwargs): ...\n"
CHAT = "def chat(completion_create_params, model): ...\n"
UNSTRUCTURED = "def score_unstructured(model, data, **kwargs): return data\n"
LABELS: Json = {
    "positive_class_label": "<b>yes</b>",
    "negative_class_label": "no",
    "class_labels": ("no", "<b>yes</b>"),
}


class Described:
    """The documentation of a loaded model folder."""

    def __init__(
        self, folder: Path, target_type: str, files: Json, *, show_details: bool = True, **options: Any
    ) -> None:
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        settings = model_settings(folder, target_type, **options)
        self.predictor = create_predictor(settings)
        self.predictor.load()
        state = ModelState()
        state.set_ready()
        model = DescribedModel(self.predictor, settings, lambda: find_sample(folder))
        self.handlers = OpenApiHandlers(settings, [model], state, show_details=show_details)

    @property
    def card(self) -> Json:
        (card,) = _content(self.handlers.do_playground_models(ModelRequest()))["models"]
        found: Json = card
        return found

    @property
    def document(self) -> Json:
        document = _content(self.handlers.do_openapi(ModelRequest()))
        validate(document)
        return document


def _content(response: ModelResponse) -> Json:
    assert isinstance(response.content, bytes)
    document: Json = json.loads(response.content)
    return document


@pytest.fixture
def classifier() -> bytes:
    """A model that knows the categories of a column."""
    table = pd.DataFrame({"city": ["Oslo", "Rome", "Oslo", "Rome"], "<i>size</i>": [1.0, 2.0, 3.0, 4.0]})
    encoder = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    return pickle.dumps(make_pipeline(encoder, LogisticRegression()).fit(table, np.array([0, 1, 0, 1])))


@pytest.fixture
def described(tmp_path: Path, classifier: bytes) -> Iterator[Described]:
    sample = "<i>size</i>,city,unused\n2.5,Rome,x\n,Oslo,y\n"
    found = Described(tmp_path, "binary", {"model.pkl": classifier, "warm_up.csv": sample}, **LABELS)
    yield found
    found.predictor.close()


def test_columns_come_from_the_model_and_values_from_the_sample(described: Described) -> None:
    card = described.card
    city, size = card["columns"]
    assert (city["name"], city["categories"]) == ("city", ["Oslo", "Rome"])
    assert (size["name"], size["type"]) == ("<i>size</i>", "number")
    assert card["rows"] == [["Rome", 2.5], ["Oslo", None]]
    assert card["labels"] == ["no", "<b>yes</b>"]


def test_the_document_has_the_columns_the_labels_and_an_example(described: Described) -> None:
    document = described.document
    schemas = document["components"]["schemas"]
    example = {"city": "Rome", "<i>size</i>": 2.5}
    assert schemas["DrumRow"]["properties"]["city"]["enum"] == ["Oslo", "Rome", None]
    assert schemas["DrumRow"]["properties"]["<i>size</i>"] == {"type": ["number", "null"]}
    assert schemas["DrumRow"]["examples"] == [example]
    assert set(schemas["DrumPredictions"]["properties"]["predictions"]["items"]["properties"]) == {"no", "<b>yes</b>"}
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert content["application/json"]["example"] == [example]
    assert content["text/csv"]["example"] == "city,<i>size</i>\nRome,2.5\n"
    assert document["info"]["x-drum-model"]["labels"] == ["no", "<b>yes</b>"]


def test_the_examples_of_the_document_are_predicted(described: Described) -> None:
    content = described.document["paths"]["/predict"]["post"]["requestBody"]["content"]
    (row,) = predict_csv(described.predictor, content["text/csv"]["example"])
    assert sum(row) == pytest.approx(1)


@each_case(
    ("target_type", "files", "options", "columns", "rows"),
    [
        ("regression", {"custom.py": SCORE}, {}, [], []),
        (
            "regression",
            {"custom.py": SCORE, "sample.csv": "a,b\n1,x\n"},
            {},
            [("a", "number"), ("b", "text")],
            [[1, "x"]],
        ),
        (
            "regression",
            {"custom.py": SCORE, "sample.csv": "zip\n007\n"},
            {"metadata": {"inputSchema": {"zip": "text"}}},
            [("zip", "text")],
            [["007"]],
        ),
        ("regression", {"custom.py": SCORE}, {"metadata": {"inputSchema": {"d": "date"}}}, [("d", "date")], []),
        ("regression", {"custom.py": SCORE, "sample.csv": "\x00\xff"}, {}, [], []),
        ("textgeneration", {"custom.py": CHAT}, {"target_name": "t"}, [("promptText", "text")], []),
        ("unstructured", {"custom.py": UNSTRUCTURED, "sample.txt": "a text"}, {}, [], []),
    ],
    ids=["unknown", "sample", "declared", "declared-alone", "broken", "chat", "unstructured"],
)
def test_models_of_code(
    target_type: str, files: Json, options: Json, columns: list[Any], rows: list[Any], tmp_path: Path
) -> None:
    found = Described(tmp_path, target_type, files, **options)
    card = found.card
    assert [(column["name"], column["type"]) for column in card["columns"]] == columns
    assert (card["rows"], card["sampleText"]) == (rows, "a text" if target_type == "unstructured" else None)
    assert found.document["info"]["title"].startswith(f"{card['name']}, version 1: a {target_type} model")
    found.predictor.close()


def test_a_request_is_the_sample_of_a_model_that_chats(tmp_path: Path) -> None:
    request = {"messages": [{"role": "user", "content": "Hello"}]}
    files = {"custom.py": CHAT, "sample.json": json.dumps(request)}
    found = Described(tmp_path, "textgeneration", files, target_name="t")
    assert (found.card["sampleRequest"], found.card["methods"]["chat"]) == (request, True)
    found.predictor.close()


def test_values_of_the_sample_are_details(tmp_path: Path) -> None:
    files = {"custom.py": SCORE, "sample.csv": "a\n1\n"}
    found = Described(tmp_path, "regression", files, show_details=False)
    assert [column["name"] for column in found.card["columns"]] == ["a"]
    assert found.card["rows"] == [] and "examples" not in found.document["components"]["schemas"]["DrumRow"]
    found.predictor.close()


def test_a_wide_model_is_shown_in_part(tmp_path: Path) -> None:
    header = ",".join(f"c{number}" for number in range(3000))
    files = {"custom.py": SCORE, "sample.csv": f"{header}\n{','.join(['1'] * 3000)}\n"}
    found = Described(tmp_path, "regression", files)
    card = found.card
    assert (len(card["columns"]), len(card["rows"][0]), card["allColumns"]) == (1000, 1000, 3000)
    assert "example" not in found.document["paths"]["/predict"]["post"]["requestBody"]["content"]["text/csv"]
    found.predictor.close()


def test_the_model_is_named_while_it_loads(tmp_path: Path) -> None:
    settings = model_settings(tmp_path, "regression", served_name="prices", served_version="3")
    handlers = OpenApiHandlers(settings, [DescribedModel(None, settings)], ModelState())
    document = _content(handlers.do_playground_models(ModelRequest()))
    assert document["state"] == "loading"
    assert [(card["name"], card["version"], card["columns"]) for card in document["models"]] == [("prices", "3", [])]
