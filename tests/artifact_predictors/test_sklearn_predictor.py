"""Loading pickles, and the messages when it fails."""

import logging
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import LinearRegression

from datarobot_drum.drum.artifact_predictors.sklearn_predictor import SklearnPredictor
from datarobot_drum.drum.exceptions import ModelLoadError
from tests.cases import each_case

MODEL = LinearRegression().fit(np.arange(6.0).reshape(3, 2), [1.0, 2.0, 4.0])


class FailsOnUnpickle:
    """Raises when it is unpickled."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        return _explode, (self.error,)


def _explode(error: BaseException) -> None:
    raise error


class Warner:
    """Warns when it is unpickled, as scikit-learn does over another version's estimators."""

    def __reduce__(self) -> Any:
        return _warn, ()


def _warn() -> str:
    warning = InconsistentVersionWarning(
        estimator_name="Lasso", current_sklearn_version="2", original_sklearn_version="1"
    )
    warnings.warn(warning, stacklevel=1)
    warnings.warn(warning, stacklevel=1)
    return "loaded"


def dump(path: Path, model: Any) -> Path:
    path.write_bytes(pickle.dumps(model))
    return path


@each_case("name", ["model.pkl", "model.joblib"])
@each_case("compress", [0, 3])
def test_pickle_and_joblib_files_are_loaded(tmp_path: Path, name: str, compress: int) -> None:
    joblib.dump(MODEL, tmp_path / "by_joblib", compress=compress)
    for path in (dump(tmp_path / name, MODEL), (tmp_path / "by_joblib").rename(tmp_path / f"2{name}")):
        assert SklearnPredictor().load(path).coef_.tobytes() == MODEL.coef_.tobytes()


def test_a_plain_pickle_needs_no_joblib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "joblib", None)
    assert SklearnPredictor().load(dump(tmp_path / "model.pkl", {"a": 1})) == {"a": 1}


@each_case(
    "content",
    [b"", b"\x00\x01garbage", b"PK\x03\x04", pickle.dumps(MODEL)[:-20]],
    ids=["empty", "garbage", "zip", "truncated"],
)
def test_load_error_of_a_broken_pickle_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    with pytest.raises(ModelLoadError, match=r"^model\.pkl could not be loaded: [^\n]+\.$"):
        SklearnPredictor().load(path)


@each_case(
    ("error", "message"),
    [
        pytest.param(ValueError("two\n lines"), "ValueError: two lines.", id="any error"),
        pytest.param(SystemExit(3), "SystemExit: 3.", id="exit"),
        pytest.param(ModuleNotFoundError("x", name="sklearn.tree"), "datarobot-drum[scikit-learn]", id="scikit-learn"),
        pytest.param(ModuleNotFoundError("x", name="foo.bar"), "module foo.bar, which is not installed", id="module"),
        pytest.param(ValueError("PCG64 is not a known BitGenerator module."), "another version of NumPy", id="NumPy"),
        pytest.param(TypeError("code expected at least 16 arguments, got 15"), "another Python; this is", id="Python"),
        pytest.param(AttributeError("no 'A' on <module '__main__'>"), "move it to custom.py", id="script's class"),
    ],
)
def test_error_while_unpickling_becomes_one_sentence(tmp_path: Path, error: BaseException, message: str) -> None:
    with pytest.raises(ModelLoadError) as failed:
        SklearnPredictor().load(dump(tmp_path / "model.pkl", FailsOnUnpickle(error)))
    assert message in str(failed.value)
    assert isinstance(failed.value.__cause__, type(error))


def test_a_version_mismatch_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert SklearnPredictor().load(dump(tmp_path / "model.pkl", Warner())) == "loaded"
    assert len(caplog.messages) == 1
    assert "model.pkl" in caplog.messages[0]
    assert "from version 1 when using version 2" in caplog.messages[0]


def test_missing_scikit_learn_error_names_the_extra(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['sklearn'] = None; from pathlib import Path;"
        "from datarobot_drum.drum.artifact_predictors.sklearn_predictor import SklearnPredictor;"
        "SklearnPredictor().load(Path(sys.argv[1]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(dump(tmp_path / "model.pkl", MODEL))],
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr.splitlines()[-1].endswith(
        "model.pkl could not be loaded: it needs the module sklearn.linear_model; install datarobot-drum[scikit-learn]."
    )
