"""The example request of a model is one that the model predicts."""

import io
import pickle
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from datarobot_drum.drum.commands.loaded_model import loaded_model
from datarobot_drum.drum.serving.example_request import ROWS_FILE, example_curl
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import build_model_settings
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from tests.cases import each_case

FRAME = pd.DataFrame({"city's": ["Bern", "Oslo", "Oslo"], "old": [True, False, True], "n": [1.0, 2.5, 3.0]})
Y = [1.0, 2.0, 3.0]
ENCODED = make_column_transformer((OneHotEncoder(), ["city's", "old"]), remainder="passthrough")


def _example(folder: Path, target_type: str, **more: Any) -> tuple[list[str], Any]:
    """Return the words of the command, and the predictions of its body; None if it has no rows."""
    arguments = Arguments(command="score", code_dir=str(folder), target_type=target_type, **more)
    model = build_model_settings(arguments)
    with loaded_model(model) as predictor:
        words = shlex.split(example_curl(predictor, model, "http://host"))
        body = words[words.index("--data-binary") + 1]
        if body.startswith("@") or "/predict/" not in words[-1]:
            return words, None
        payload = StructuredPayload(io.BytesIO(body.encode()), PayloadFormat.JSON)
        return words, predictor.predict(predictor.read_input(payload)).values


@each_case(
    "model",
    [
        LinearRegression().fit(FRAME[["n"]], Y),
        LinearRegression().fit(np.eye(3), Y),
        make_pipeline(ENCODED, LinearRegression()).fit(FRAME, Y),
        make_pipeline(CountVectorizer(), LinearRegression()).fit(["some text", "other text", "text"], Y),
    ],
    ids=["a column", "no names", "categories and booleans", "text"],
)
def test_a_model_predicts_the_row_of_its_schema(tmp_path: Path, model: Any) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    words, values = _example(tmp_path, "regression")
    assert (words[-1], values.shape) == ("http://host/predict/", (1, 1))


def test_a_sample_file_wins_and_many_columns_need_one(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(LinearRegression().fit(np.eye(50), range(50))))
    assert ROWS_FILE in _example(tmp_path, "regression")[0]
    (tmp_path / "sample.csv").write_text("a\n1\n", encoding="utf-8")
    assert f"@{tmp_path / 'sample.csv'}" in _example(tmp_path, "regression")[0]


@each_case(
    ("code", "target_type", "path", "body"),
    [
        ("def chat(params, model): ...", "textgeneration", "/v1/chat/completions", "messages"),
        ("def embed(texts, model): ...", "textgeneration", "/v1/embeddings", "input"),
        ("def score(data, model): ...", "textgeneration", "/v1/chat/completions", "messages"),
        ("def score_stream(data, model): ...", "regression", "/predictionsStream/", ROWS_FILE),
        ("def score_unstructured(model, data): ...", "unstructured", "/predictUnstructured/", "some text"),
        ("def score(data, model): ...", "regression", "/predict/", ROWS_FILE),
        ("def transform(data, model): ...", "transform", "/transform/", ROWS_FILE),
    ],
)
def test_hooks_get_requests_of_their_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, target_type: str, path: str, body: str
) -> None:
    monkeypatch.setenv("TARGET_NAME", "answer")
    (tmp_path / "custom.py").write_text(f"def load_model(code_dir):\n    return 1\n\n\n{code}\n", encoding="utf-8")
    model = build_model_settings(Arguments(command="score", code_dir=str(tmp_path), target_type=target_type))
    with loaded_model(model) as predictor:
        words = shlex.split(example_curl(predictor, model, "http://host/a", ["X-Key: k"]))
    sent = words[words.index("--data-binary") + 1]
    assert words[-1] == f"http://host/a{path}" and "X-Key: k" in words
    assert body in sent


def test_a_classifier_gets_its_own_labels(tmp_path: Path) -> None:
    model = LogisticRegression().fit(FRAME[["n"]], ["a", "b", "b"])
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    assert _example(tmp_path, "binary")[1].shape == (1, 2)
