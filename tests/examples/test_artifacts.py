"""The artifacts of the examples: reproducible, and consistent with samples and metadata."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn import datasets

EXAMPLES = Path(__file__).parents[2] / "examples"
ARTIFACT_EXAMPLES = ["regression_diabetes", "multiclass_wine"]
ALL_EXAMPLES = [*ARTIFACT_EXAMPLES, "binary_breast_cancer", "transform_scaling"]

MakeArtifacts = Callable[[Path], list[str]]

DATA = {
    "regression_diabetes": lambda: datasets.load_diabetes(as_frame=True, scaled=False),
    "multiclass_wine": lambda: datasets.load_wine(as_frame=True),
    "binary_breast_cancer": lambda: datasets.load_breast_cancer(as_frame=True),
    "transform_scaling": lambda: datasets.load_diabetes(as_frame=True, scaled=False),
}


def load_artifact(folder: Path, name: str) -> Any:
    return pickle.loads((folder / name / "model.pkl").read_bytes())


def read_sample(name: str) -> pd.DataFrame:
    return pd.read_csv(EXAMPLES / name / "sample.csv")


def read_metadata(name: str) -> dict[str, Any]:
    metadata: dict[str, Any] = yaml.safe_load((EXAMPLES / name / "model-metadata.yaml").read_text())
    return metadata


def test_current_artifacts_are_kept(artifacts: Path, make_artifacts: MakeArtifacts) -> None:
    assert make_artifacts(artifacts) == []


def test_missing_artifact_is_rebuilt(artifacts: Path, make_artifacts: MakeArtifacts, tmp_path: Path) -> None:
    shutil.copytree(artifacts, tmp_path, dirs_exist_ok=True)
    artifact = tmp_path / "multiclass_wine" / "model.pkl"
    artifact.unlink()
    assert make_artifacts(tmp_path) == [f"Made {artifact}"]


@pytest.mark.parametrize("stamp", ["{", "[]", '{"multiclass_wine": "of other versions"}'])
def test_artifacts_with_invalid_stamp_are_rebuilt(
    artifacts: Path, make_artifacts: MakeArtifacts, tmp_path: Path, stamp: str
) -> None:
    shutil.copytree(artifacts, tmp_path, dirs_exist_ok=True)
    (tmp_path / ".artifacts.json").write_text(stamp)
    assert len(make_artifacts(tmp_path)) == len(ALL_EXAMPLES)


@pytest.fixture(scope="module")
def second(make_artifacts: MakeArtifacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("second")
    make_artifacts(folder)
    return folder


@pytest.mark.parametrize("name", ARTIFACT_EXAMPLES)
def test_second_training_predicts_equal_bits(artifacts: Path, second: Path, name: str) -> None:
    first, again = load_artifact(artifacts, name), load_artifact(second, name)
    predict = "predict_proba" if hasattr(first, "predict_proba") else "predict"
    table = DATA[name]().data
    np.testing.assert_array_equal(getattr(first, predict)(table), getattr(again, predict)(table))


@pytest.mark.parametrize("name", ALL_EXAMPLES)
def test_sample_contains_rows_of_the_data_without_target(name: str) -> None:
    header, *rows = DATA[name]().data.to_csv(index=False).splitlines()
    sample_header, *sample_rows = (EXAMPLES / name / "sample.csv").read_text().splitlines()
    assert sample_header == header
    assert 5 <= len(sample_rows) <= 10
    assert set(sample_rows) <= set(rows)


@pytest.mark.parametrize("name", ARTIFACT_EXAMPLES)
def test_artifact_predicts_its_sample(artifacts: Path, name: str) -> None:
    sample = read_sample(name)
    assert len(load_artifact(artifacts, name).predict(sample)) == len(sample)


def test_declared_wine_classes_match_the_model(artifacts: Path) -> None:
    declared = read_metadata("multiclass_wine")["inferenceModel"]["classLabels"]
    assert declared == list(load_artifact(artifacts, "multiclass_wine").classes_)


def test_declared_tumour_labels_match_the_model(artifacts: Path) -> None:
    model = read_metadata("binary_breast_cancer")["inferenceModel"]
    declared = {model["positiveClassLabel"], model["negativeClassLabel"]}
    assert declared == set(load_artifact(artifacts, "binary_breast_cancer").classes_)


@pytest.mark.parametrize(("name", "least"), [("multiclass_wine", 0.95), ("regression_diabetes", 0.5)])
def test_model_score_exceeds_minimum(artifacts: Path, name: str, least: float) -> None:
    data = DATA[name]()
    target = data.target if name.startswith("regression") else data.target_names[data.target]
    assert load_artifact(artifacts, name).score(data.data, target) > least
