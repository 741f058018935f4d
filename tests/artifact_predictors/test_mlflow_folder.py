"""Artifacts in folders that MLflow wrote."""

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from datarobot_drum.drum.exceptions import ModelLoadError
from tests.artifact_predictors.loaded_models import Load
from tests.language_predictors.builders import write_model

LINE = LinearRegression().fit(np.arange(6.0).reshape(3, 2), [1.0, 2.0, 4.0])
SKLEARN = "flavors:\n  sklearn: {pickled_model: model.pkl}\n  python_function: {loader_module: mlflow.sklearn}\n"
PYTHON_MODEL = "flavors:\n  python_function: {loader_module: mlflow.pyfunc.model, python_model: python_model.pkl}\n"


def mlflow_folder(folder: Path, mlmodel: str) -> None:
    (folder / "MLmodel").write_text(mlmodel)
    (folder / "model.pkl").write_bytes(pickle.dumps(LINE))


@pytest.mark.parametrize(
    ("mlmodel", "flavors"),
    [(SKLEARN, "python_function, sklearn"), ("flavors: later", "none"), ("- no mapping", "none")],
    ids=["sklearn", "other flavors", "other document"],
)
def test_artifact_is_served_and_logged(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture, mlmodel: str, flavors: str
) -> None:
    mlflow_folder(tmp_path, mlmodel)
    with caplog.at_level(logging.INFO):
        assert load("regression").name == "scikit-learn"
    assert f"The folder was written by MLflow (flavors: {flavors}): model.pkl is served directly" in caplog.text


def test_unreadable_mlmodel_is_ignored(load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mlflow_folder(tmp_path, "flavors: {")
    with caplog.at_level(logging.INFO):
        load("regression")
    assert "MLflow" not in caplog.text


def test_python_model_of_mlflow_is_rejected_with_advice(load: Load, tmp_path: Path) -> None:
    mlflow_folder(tmp_path, PYTHON_MODEL)
    with pytest.raises(
        ModelLoadError, match=r"whose predict also takes .* returns mlflow\.pyfunc\.load_model\(code_dir\)"
    ):
        load("regression")


def test_python_model_of_mlflow_is_loaded_for_hooks(load: Load, tmp_path: Path) -> None:
    mlflow_folder(tmp_path, PYTHON_MODEL)
    write_model(tmp_path, custom="def score(data, model): return data")
    assert load("regression").name == "custom"
