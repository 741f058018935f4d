"""spaCy pipelines from a folder: scores and entities equal those of the pipeline."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datarobot_drum.drum.exceptions import ModelLoadError, UnprocessableInput
from datarobot_drum.drum.language_predictors.unstructured import UnstructuredInput
from tests.artifact_predictors.loaded_models import Load, predict_csv

spacy = pytest.importorskip("spacy", reason="needs datarobot-drum[spacy]")
training = pytest.importorskip("spacy.training")

TEXTS = ["a good film", "a bad film", "good good"]
ROWS = pd.DataFrame({"text": TEXTS})


def classifier(folder: Path, component: str = "textcat") -> Any:
    """Train a pipeline a few steps and save it."""
    pipeline = spacy.blank("en")
    category = pipeline.add_pipe(component)
    for label in ("pos", "neg"):
        category.add_label(label)
    examples = [
        training.Example.from_dict(
            pipeline.make_doc(text), {"cats": {"pos": float(is_good), "neg": float(not is_good)}}
        )
        for text, is_good in (("a good film", True), ("a bad film", False))
    ]
    pipeline.initialize(lambda: examples)
    for _ in range(10):
        pipeline.update(examples)
    pipeline.to_disk(folder)
    return pipeline


def test_texts_are_classified(load: Load, tmp_path: Path) -> None:
    pipeline = classifier(tmp_path / "model")
    predictor = load("binary", ("neg", "pos"))
    assert (predictor.name, predictor.thread_safe) == ("spacy", False)
    own = [[pipeline(text).cats[label] for label in ("neg", "pos")] for text in TEXTS]
    assert np.array_equal(predict_csv(predictor, ROWS).values, own)
    assert [predict_csv(predictor, ROWS.iloc[[row]]).values[0].tolist() for row in range(3)] == own
    assert own[0][1] > 0.6 > own[1][1]


def test_labels_are_those_of_the_component(load: Load, tmp_path: Path) -> None:
    pipeline = classifier(tmp_path, "textcat_multilabel")
    predictor = load("multilabel")
    assert predictor.class_labels == ("pos", "neg")
    assert np.array_equal(predict_csv(predictor, ROWS).values, [list(pipeline(text).cats.values()) for text in TEXTS])


def test_a_text_without_words_is_rejected(load: Load, tmp_path: Path) -> None:
    classifier(tmp_path)
    with pytest.raises(UnprocessableInput, match="text in row 2 is empty"):
        predict_csv(load("binary", ("neg", "pos")), pd.DataFrame({"text": ["good", None], "": ["", ""]})[["text"]])


def test_entities_are_found_in_bodies(load: Load, tmp_path: Path) -> None:
    pipeline = spacy.blank("en")
    pipeline.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Ada"}])
    pipeline.to_disk(tmp_path / "model")
    predictor = load("unstructured")

    def respond(body: bytes, mimetype: str) -> Any:
        content: Any = predictor.predict_unstructured(UnstructuredInput(io.BytesIO(body), mimetype)).content
        return json.loads(content)

    own = pipeline("Ada lives").to_json()
    assert own["ents"] == [{"start": 0, "end": 3, "label": "PERSON"}]
    assert respond(b"Ada lives", "text/plain") == own
    assert respond(b'{"inputs": ["Ada lives"]}', "application/json") == [own]
    for body in (b"{", b'{"inputs": 1}', b'{"inputs": [1]}', b'{"text": "a"}', b'{"inputs": " "}'):
        with pytest.raises(UnprocessableInput):
            respond(body, "application/json")


@pytest.mark.parametrize(
    ("component", "target_type", "message"),
    [
        ("textcat", "multilabel", "exclude each other: give --target-type multiclass"),
        ("textcat_multilabel", "binary", "do not exclude each other: give multilabel"),
        ("textcat", "regression", r"components: textcat\) does not serve the target type regression"),
    ],
)
def test_another_target_type_is_rejected(
    load: Load, tmp_path: Path, component: str, target_type: str, message: str
) -> None:
    classifier(tmp_path, component)
    with pytest.raises(ModelLoadError, match=message):
        load(target_type, () if target_type == "regression" else ("neg", "pos"))
