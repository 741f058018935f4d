"""Frameworks are detected from file content under any name, without importing or unpickling."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from lightgbm import LGBMRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from xgboost import XGBRegressor

from datarobot_drum.drum.artifact_predictors.file_detection import detect_framework, is_torch_script, pickled_modules
from datarobot_drum.drum.artifact_predictors.registry import framework_name, is_thread_safe, list_artifacts
from tests.artifact_predictors.trained_models import SAVE, TASKS
from tests.cases import each_case

OWN_FORMATS = ["xgboost", "lightgbm", "catboost", "skops"]
DATA, TARGET = np.arange(20.0).reshape(10, 2), np.arange(10.0)


@each_case("framework", OWN_FORMATS)
def test_native_file_is_detected_under_any_name(tmp_path: Path, framework: str) -> None:
    path = SAVE[framework](tmp_path, TASKS["regression"]).file.rename(tmp_path / "model.v1")
    assert detect_framework(path) == framework
    assert list_artifacts(tmp_path) == (path,)
    assert framework_name(path) == framework


def test_xgboost_json_is_distinguished_from_other_json(tmp_path: Path) -> None:
    path = SAVE["xgboost"](tmp_path, TASKS["binary"]).file
    assert (path.suffix, detect_framework(path)) == (".json", "xgboost")
    path.write_text('{"learner": 1, "more": {}}')
    assert detect_framework(path) is None


def archive(path: Path, *members: str) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for member in members:
            file.writestr(member, "x")
    return path


@each_case(
    ("members", "framework"),
    [
        pytest.param(("config.json", "metadata.json", "model.weights.h5"), "keras", id="keras"),
        pytest.param(("net/data.pkl", "net/version", "net/data/0"), "pytorch", id="state"),
        pytest.param(("net/data.pkl", "net/code/__torch__.py"), "pytorch", id="script"),
        pytest.param(("schema.json", "1.npy"), "skops", id="skops"),
        pytest.param(("a.csv",), None, id="other"),
    ],
)
def test_archive_framework_is_detected_from_member_names(
    tmp_path: Path, members: tuple[str, ...], framework: str | None
) -> None:
    path = archive(tmp_path / "model", *members)
    assert detect_framework(path) == framework
    assert is_torch_script(path) == ("net/code/__torch__.py" in members)


@each_case(
    "content",
    [b"", b"PK\x03\x04", b"{", b"tree", b"a,b\n1,2\n", b"\x80\x04."],
    ids=["", "zip", "json", "tree", "csv", "pickle"],
)
def test_other_content_is_no_native_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.bin"
    path.write_bytes(content)
    assert detect_framework(path) is None
    assert list_artifacts(tmp_path) == ()


@each_case(
    ("model", "framework"),
    [
        pytest.param(XGBRegressor(n_estimators=2).fit(DATA, TARGET), "xgboost", id="xgboost"),
        pytest.param(LGBMRegressor(n_estimators=2, verbose=-1), "lightgbm", id="lightgbm"),
        pytest.param(make_pipeline(XGBRegressor(n_estimators=2)).fit(DATA, TARGET), "scikit-learn", id="pipeline"),
        pytest.param(LinearRegression().fit(DATA, TARGET), "scikit-learn", id="scikit-learn"),
        pytest.param({"a": 1}, "scikit-learn", id="no class"),
    ],
)
def test_pickle_framework_is_that_of_the_outermost_class(tmp_path: Path, model: Any, framework: str) -> None:
    path = tmp_path / "model.pkl"
    for protocol in range(2, 6):
        path.write_bytes(pickle.dumps(model, protocol))
        assert framework_name(path) == framework, protocol
        assert is_thread_safe(path)


def test_joblib_file_is_scanned_up_to_its_first_array(tmp_path: Path) -> None:
    joblib.dump(make_pipeline(LinearRegression()).fit(DATA, TARGET), tmp_path / "model.joblib")
    modules = pickled_modules(tmp_path / "model.joblib")
    assert modules[:1] == ("sklearn",)
    assert {"sklearn", "joblib"} <= set(modules)


class FailsOnUnpickle:
    """Fails the test when it is unpickled."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("unpickled",)


def test_detection_does_not_unpickle(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps([FailsOnUnpickle()]))
    assert framework_name(path) == "scikit-learn"
    assert any("pytest" in module for module in pickled_modules(path))


def test_pickle_with_a_keras_model_is_not_thread_safe(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    path.write_bytes(b"\x80\x02csklearn.pipeline\nPipeline\nckeras.src.models.sequential\nSequential\n.")
    assert pickled_modules(path) == ("sklearn", "keras")
    assert not is_thread_safe(path)
    assert framework_name(path) == "scikit-learn"
