"""Pipelines of transformers from a folder: rows equal what transformers itself returns for each text."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datarobot_drum.drum.exceptions import ModelLoadError, UnprocessableInput
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.language_predictors.unstructured import UnstructuredInput
from datarobot_drum.drum.settings.load_policy import PicklePolicy
from tests.artifact_predictors.loaded_models import Load, predict_csv
from tests.artifact_predictors.tiny_transformers import (
    MAX_TOKENS,
    save_bert,
    save_gpt,
    save_image_classifier,
    torch,
    transformers,
)
from tests.language_predictors.builders import model_settings

TEXTS = ["a good film", "very ugly", "not fine not bad a film", ""]
ROWS = pd.DataFrame({"text": TEXTS})


def scores(pipeline: Any, labels: tuple[str, ...], **options: Any) -> np.ndarray:
    rows = [{item["label"]: item["score"] for item in pipeline(text, top_k=None, **options)} for text in TEXTS]
    return np.array([[row[label] for label in labels] for row in rows])


def respond(predictor: Any, body: Any, mimetype: str = "application/json") -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return json.loads(predictor.predict_unstructured(UnstructuredInput(io.BytesIO(content), mimetype)).content)


LABELS = ("neg", "neu", "pos")


def test_texts_are_classified_as_by_the_pipeline(load: Load, tmp_path: Path) -> None:
    pipeline = save_bert(tmp_path / "model", "ForSequenceClassification", LABELS)
    predictor = load("multiclass")
    assert (predictor.name, predictor.thread_safe, predictor.class_labels) == ("transformers", False, LABELS)
    values = predict_csv(predictor, ROWS).values
    assert np.array_equal(values, scores(pipeline, LABELS))
    assert np.ptp(values) > 0.1
    alone = [predict_csv(predictor, ROWS.iloc[[row]]).values[0] for row in range(len(ROWS))]
    assert np.array_equal(alone, values)


def test_the_code_dir_itself_may_be_the_model(load: Load, tmp_path: Path) -> None:
    pipeline = save_bert(tmp_path, "ForSequenceClassification", LABELS)
    order = ("pos", "neg", "neu")
    assert np.array_equal(predict_csv(load("multiclass", order), ROWS).values, scores(pipeline, order))


def test_unnamed_classes_are_taken_in_their_order(load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pipeline = save_bert(tmp_path, "ForSequenceClassification", num_labels=2)
    values = predict_csv(load("binary", ("no", "yes")), ROWS).values
    assert np.array_equal(values, scores(pipeline, ("LABEL_0", "LABEL_1")))
    assert "taking '0' for 'no' (negative), '1' for 'yes' (positive)" in caplog.text


def test_other_class_names_are_rejected(load: Load, tmp_path: Path) -> None:
    save_bert(tmp_path, "ForSequenceClassification", ("bad", "good"))
    with pytest.raises(ModelLoadError, match=r"classes \('bad', 'good'\) are not the class labels"):
        load("binary", ("no", "yes"))


def test_one_output_is_the_positive_class(load: Load, tmp_path: Path) -> None:
    pipeline = save_bert(tmp_path, "ForSequenceClassification", num_labels=1)
    values = predict_csv(load("binary", ("no", "yes")), ROWS).values
    assert np.array_equal(values[:, 1:], scores(pipeline, ("LABEL_0",)))


def test_multilabel_scores_are_sigmoids(load: Load, tmp_path: Path) -> None:
    pipeline = save_bert(tmp_path, "ForSequenceClassification", LABELS, problem_type="multi_label_classification")
    assert np.array_equal(predict_csv(load("multilabel"), ROWS).values, scores(pipeline, LABELS))


def test_regression_is_the_output_itself(load: Load, tmp_path: Path) -> None:
    pipeline = save_bert(tmp_path, "ForSequenceClassification", num_labels=1, problem_type="regression")
    assert np.array_equal(predict_csv(load("regression"), ROWS).values, scores(pipeline, ("LABEL_0",)))


@pytest.mark.parametrize(
    ("head", "config", "target_type", "message"),
    [
        ("ForSequenceClassification", {"num_labels": 3}, "regression", "3 classes: give --target-type binary, multi"),
        (
            "ForSequenceClassification",
            {"num_labels": 2, "problem_type": "multi_label_classification"},
            "binary",
            "give --target-type multilabel",
        ),
        ("ForSequenceClassification", {"num_labels": 2}, "anomaly", "for text-classification, which .* anomaly"),
        ("ForTokenClassification", {"num_labels": 2}, "regression", "give --target-type unstructured"),
        ("Model", {}, "regression", "give --target-type unstructured, transform or textgeneration"),
        ("ForMaskedLM", {}, "unstructured", "names the architecture BertForMaskedLM .* these tasks are served"),
    ],
)
def test_another_target_type_is_rejected(
    load: Load, tmp_path: Path, head: str, config: dict[str, Any], target_type: str, message: str
) -> None:
    save_bert(tmp_path, head, **config)
    with pytest.raises(ModelLoadError, match=message):
        load(target_type, ("no", "yes") if target_type == "binary" else ())


def test_a_text_that_would_be_cut_off_is_rejected(load: Load, tmp_path: Path) -> None:
    save_bert(tmp_path, "ForSequenceClassification", LABELS)
    predictor = load("multiclass")
    rows = pd.DataFrame({"text": ["fine", "good " * MAX_TOKENS]})
    with pytest.raises(UnprocessableInput, match=r"text in row 2 has 18 tokens, and the model takes 16: shorten it"):
        predict_csv(predictor, rows)


def test_several_columns_are_rejected(load: Load, tmp_path: Path) -> None:
    save_bert(tmp_path, "ForSequenceClassification", LABELS)
    with pytest.raises(UnprocessableInput, match="takes one column of texts"):
        predict_csv(load("multiclass"), ROWS.assign(other="x"))


NLI = ("contradiction", "neutral", "entailment")


@pytest.mark.parametrize("target_type", ["multiclass", "multilabel"])
def test_declared_labels_make_a_model_of_entailment_zero_shot(load: Load, tmp_path: Path, target_type: str) -> None:
    pipeline = save_bert(tmp_path, "ForSequenceClassification", NLI)
    labels, is_multilabel = ("sad", "happy", "ugly"), target_type == "multilabel"
    zero_shot = transformers.ZeroShotClassificationPipeline(model=pipeline.model, tokenizer=pipeline.tokenizer)
    own = [zero_shot(text, list(labels), multi_label=is_multilabel) for text in TEXTS[:2]]
    expected = [[row["scores"][row["labels"].index(label)] for label in labels] for row in own]
    assert np.array_equal(predict_csv(load(target_type, labels), ROWS[:2]).values, expected)


def test_zero_shot_labels_may_come_with_the_request(load: Load, tmp_path: Path) -> None:
    save_bert(tmp_path, "ForSequenceClassification", NLI)
    body = {"inputs": "a good film", "parameters": {"candidate_labels": ["sad", "happy"]}}
    response = respond(load("unstructured"), body)
    assert sorted(response["labels"]) == ["happy", "sad"] and sum(response["scores"]) == pytest.approx(1)


def test_tokens_are_classified(load: Load, tmp_path: Path) -> None:
    pipeline = save_bert(tmp_path, "ForTokenClassification", ("O", "B-PER", "B-LOC"))
    predictor = load("unstructured")
    own = json.loads(json.dumps(pipeline(TEXTS[0], aggregation_strategy="simple"), default=float))
    assert respond(predictor, {"inputs": TEXTS[0]}) == respond(predictor, TEXTS[0].encode(), "text/plain") == own
    several = respond(predictor, {"inputs": TEXTS[:2], "parameters": {"aggregation_strategy": "none"}})
    assert [len(tokens) > 0 for tokens in several] == [True, True]


def image(color: str) -> bytes:
    pillow, content = pytest.importorskip("PIL.Image"), io.BytesIO()
    pillow.new("RGB", (8, 8), color).save(content, "PNG")
    return content.getvalue()


def test_images_are_classified(load: Load, tmp_path: Path) -> None:
    pipeline = save_image_classifier(tmp_path, ("cat", "dog"))
    images = [image("red"), image("blue")]
    texts = [base64.b64encode(images[0]).decode(), "data:image/png;base64," + base64.b64encode(images[1]).decode()]
    own = [{item["label"]: item["score"] for item in pipeline(text)} for text in texts[:1]]
    values = predict_csv(load("binary", ("dog", "cat")), pd.DataFrame({"image": texts})).values
    assert values[0].tolist() == [own[0]["dog"], own[0]["cat"]]
    predictor = load("unstructured")
    found = {item["label"]: item["score"] for item in respond(predictor, images[0], "image/png")}
    assert found == own[0]
    assert respond(predictor, {"inputs": texts[:1]})[0] == respond(predictor, images[0], "image/png")


@pytest.mark.parametrize("cell", ["https://example.com/a.png", "/etc/hostname", "aGVsbG8="])
def test_images_are_never_opened_by_name(load: Load, tmp_path: Path, cell: str) -> None:
    save_image_classifier(tmp_path, ("cat", "dog"))
    with pytest.raises(UnprocessableInput, match=r"The image in row 1 (is no Base64|cannot be read)"):
        predict_csv(load("binary", ("dog", "cat")), pd.DataFrame({"image": [cell]}))


def test_features_are_columns_of_a_transformer(load: Load, tmp_path: Path) -> None:
    from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload

    pipeline = save_bert(tmp_path, "Model")
    payload = StructuredPayload(io.BytesIO(ROWS.to_csv(index=False).encode()), PayloadFormat.CSV)
    transformed = load("transform").transform(payload, None)
    own = np.array([np.asarray(pipeline(text))[0].mean(axis=0) for text in TEXTS])
    assert np.array_equal(transformed.features.to_numpy(), own)
    assert transformed.names[:2] == ("embedding_0", "embedding_1")
    assert np.array_equal(respond(load("unstructured"), {"inputs": "very ugly"}), pipeline("very ugly"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "not valid JSON"),
        ({"text": "a"}, 'must be an object with "inputs"'),
        ({"inputs": 3}, "must be a text, or a list of texts"),
        ({"inputs": [["a"]]}, "must be a text, or a list of texts"),
        ({"inputs": "a", "parameters": []}, "parameters must be a JSON object"),
        ({"inputs": "a", "parameters": {"trust_remote_code": True}}, "'trust_remote_code' is not known"),
        ({"inputs": "a", "parameters": {"top_k": 0}}, "top_k has a value"),
        ({"inputs": "good " * MAX_TOKENS}, "has 18 tokens"),
        ({"inputs": "a", "parameters": {"candidate_labels": ["sad"], "hypothesis_template": "{0.x}"}}, "template has"),
        ({"inputs": "a", "parameters": {"candidate_labels": []}}, "candidate_labels has a value"),
    ],
)
def test_bodies_of_another_form_are_rejected(load: Load, tmp_path: Path, body: Any, message: str) -> None:
    save_bert(tmp_path, "ForSequenceClassification", LABELS)
    with pytest.raises(UnprocessableInput, match=message):
        respond(load("unstructured"), body)


def test_code_in_the_folder_is_never_run(load: Load, tmp_path: Path) -> None:
    save_bert(tmp_path, "ForSequenceClassification", LABELS)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.Config", "AutoModelForSequenceClassification": "own.M"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text("raise SystemExit('own code ran')")
    with pytest.raises(ModelLoadError, match=r"needs code of its own \(auto_map in config.json\), which is never run"):
        load("multiclass")


@pytest.mark.parametrize("policy", list(PicklePolicy))
def test_weights_in_a_bin_file_hold_no_code(tmp_path: Path, policy: PicklePolicy, load: Callable[..., Any]) -> None:
    pipeline = save_bert(tmp_path, "ForSequenceClassification", LABELS)
    (tmp_path / "model.safetensors").unlink()
    torch.save(pipeline.model.state_dict(), tmp_path / "pytorch_model.bin")
    predictor = load("multiclass", pickle_policy=policy)
    assert np.array_equal(predict_csv(predictor, ROWS).values, scores(pipeline, LABELS))


class Calls:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('code in weights ran')",)


def test_code_in_a_bin_file_is_not_run(load: Load, tmp_path: Path) -> None:
    pipeline = save_bert(tmp_path, "ForSequenceClassification", LABELS)
    (tmp_path / "model.safetensors").unlink()
    torch.save({**pipeline.model.state_dict(), "more": Calls()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelLoadError, match="could not be loaded") as caught:
        load("multiclass")
    assert "code in weights ran" not in str(caught.value)


def test_models_of_other_target_types_name_generation(load: Load, tmp_path: Path) -> None:
    save_gpt(tmp_path)
    with pytest.raises(ModelLoadError, match="give --target-type textgeneration or unstructured"):
        load("regression")


@pytest.mark.parametrize(
    ("code", "is_thread_safe"),
    [
        ("def post_process(predictions, model):\n    return predictions\n", False),
        ("def load_model(code_dir):\n    return 1\ndef score(data, model):\n    return data\n", True),
    ],
    ids=["the folder is loaded", "hooks read it"],
)
def test_calls_are_limited_only_if_the_folder_is_loaded(tmp_path: Path, code: str, is_thread_safe: bool) -> None:
    save_bert(tmp_path / "model", "ForSequenceClassification", LABELS)
    (tmp_path / "custom.py").write_text(code)
    assert create_predictor(model_settings(tmp_path, "multiclass")).thread_safe is is_thread_safe
