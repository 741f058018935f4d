"""Keras: ``.keras`` and ``.h5`` files on the installed backend, in process and served."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from datarobot_drum.drum.artifact_predictors.frameworks import FRAMEWORKS
from datarobot_drum.drum.exceptions import ModelLoadError, UnprocessableInput
from tests.artifact_predictors.loaded_models import Load, predict_csv
from tests.processes import RunningServer

BACKEND = next((name for name in ("torch", "jax", "tensorflow") if importlib.util.find_spec(name)), "")
if not BACKEND:
    pytest.skip("needs datarobot-drum[keras] and a backend, such as datarobot-drum[torch]", allow_module_level=True)
os.environ.setdefault("KERAS_BACKEND", BACKEND)
keras = pytest.importorskip("keras", reason="needs datarobot-drum[keras]")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Keras's own, on the newest NumPy
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

IRIS, IRIS_TARGET = load_iris(return_X_y=True, as_frame=True)
FLOATS = np.ascontiguousarray(IRIS.to_numpy(), dtype=np.float32)
LABELS = ("z 1", "ä", "b")


def network(outputs: int, activation: str, shape: tuple[int, ...] = (4,)) -> Any:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(6, activation="tanh"), keras.layers.Dense(outputs, activation=activation)]
    return keras.Sequential([keras.Input(shape), *layers])


@pytest.fixture(scope="module")
def flowers() -> Any:
    model = network(3, "softmax")
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
    model.fit(FLOATS, IRIS_TARGET.to_numpy(), epochs=10, verbose=0)
    return model


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_keras_and_h5_files_are_loaded(tmp_path: Path, load: Load, flowers: Any, name: str) -> None:
    flowers.save(tmp_path / name)
    predictor = load("multiclass", LABELS)
    assert (predictor.name, predictor.thread_safe) == ("keras", False)
    predictions = predict_csv(predictor, IRIS)
    assert predictions.columns == LABELS
    assert np.array_equal(predictions.values, flowers.predict(FLOATS, verbose=0))
    assert (predictions.values.argmax(1) == IRIS_TARGET).mean() > 0.6


@pytest.mark.parametrize(
    ("kind", "labels", "outputs", "activation"),
    [
        pytest.param("regression", (), 1, "linear", id="regression"),
        pytest.param("anomaly", (), 1, "linear", id="anomaly"),
        pytest.param("multilabel", ("a", "b"), 2, "sigmoid", id="multilabel"),
        pytest.param("binary", ("no", "yes"), 2, "softmax", id="binary"),
    ],
)
def test_each_target_type_predicts_the_models_values(
    tmp_path: Path, load: Load, kind: str, labels: tuple[str, ...], outputs: int, activation: str
) -> None:
    model = network(outputs, activation)
    model.save(tmp_path / "model.keras")
    assert np.array_equal(predict_csv(load(kind, labels), IRIS).values, model.predict(FLOATS, verbose=0))


def test_lone_binary_column_is_the_positive_label(tmp_path: Path, load: Load) -> None:
    model = network(1, "sigmoid")
    model.save(tmp_path / "model.keras")
    positive = model.predict(FLOATS, verbose=0).astype(np.float64)
    assert np.array_equal(
        predict_csv(load("binary", ("no", "yes")), IRIS).values, np.hstack([1.0 - positive, positive])
    )


def test_unservable_models_are_rejected_at_load(tmp_path: Path, load: Load) -> None:
    network(2, "softmax").save(tmp_path / "model.keras")
    with pytest.raises(ModelLoadError, match="predicts 2 columns but 3 class labels"):
        load("multiclass", LABELS)
    network(1, "linear", (3, 4)).save(tmp_path / "model.keras")
    with pytest.raises(ModelLoadError, match=r"shape \(None, 3, 4\), which cannot be filled from a table"):
        load("regression")


def test_wrong_columns_raise_unprocessable_input(tmp_path: Path, load: Load) -> None:
    network(1, "linear").save(tmp_path / "model.keras")
    predictor = load("regression")
    with pytest.raises(UnprocessableInput, match="have 3 columns; the model takes 4"):
        predict_csv(predictor, IRIS.iloc[:, :3])
    with pytest.raises(UnprocessableInput, match="hold none"):
        predict_csv(predictor, IRIS.astype(str) + "x")


def test_missing_backend_error_names_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    (framework,) = [framework for framework in FRAMEWORKS if framework.name == "keras"]

    class Missing:
        """An importer that has no backend for Keras."""

        def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
            if name == "keras":
                raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")

    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.delitem(sys.modules, "datarobot_drum.drum.artifact_predictors.keras_predictor", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(ModelLoadError, match=r"needs the module tensorflow for its backend.*set KERAS_BACKEND"):
        framework.create_predictor()


@pytest.mark.process
def test_server_predicts_what_keras_does(tmp_path: Path, flowers: Any) -> None:
    flowers.save(tmp_path / "model.keras")
    arguments = ("--code-dir", tmp_path, "--target-type", "multiclass", "--class-labels", *LABELS)
    environment = {"DRUM_SERVER_TYPE": "fastapi", "DRUM_LAME_DUCK_SECONDS": "0"}
    with RunningServer(*arguments, log=tmp_path / "log.txt", environment=environment) as server:
        rows = server.client.post("/predict/", content=IRIS.to_csv(index=False)).json()["predictions"]
        assert server.client.get("/stats/").json()["executor_workers"] == 1
    assert np.array_equal([list(row.values()) for row in rows], flowers.predict(FLOATS, verbose=0).astype(np.float64))
