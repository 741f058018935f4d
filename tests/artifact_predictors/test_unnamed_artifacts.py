"""Model files under any name are found by their content; data files and files of hooks are left alone."""

import gzip
import io
import lzma
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from scipy.sparse import csr_array
from skl2onnx import to_onnx
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from datarobot_drum.drum.artifact_predictors.registry import list_artifacts, list_unnamed_artifacts
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.language_predictors.factory import create_predictor
from tests.artifact_predictors.loaded_models import Load, predict_csv
from tests.artifact_predictors.test_file_detection import FailsOnUnpickle
from tests.cases import each_case
from tests.cli.commands import drum
from tests.language_predictors.builders import model_settings, write_model

DATA = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 3.0, 2.0]})
TARGET = np.array([1.0, 2.0, 4.0])
LINE = LinearRegression().fit(DATA, TARGET)
PIPELINE = make_pipeline(StandardScaler(), LinearRegression()).fit(DATA, TARGET)
BOOSTER = xgboost.train({"nthread": 1}, xgboost.DMatrix(DATA, TARGET), 2)


def dump_joblib(path: Path, model: Any) -> None:
    joblib.dump(model, path)


def dump_gzip(path: Path, model: Any) -> None:
    path.write_bytes(gzip.compress(pickle.dumps(model)))


def dump_lzma(path: Path, model: Any) -> None:
    path.write_bytes(lzma.compress(pickle.dumps(model, 2)))


def dump_protocol(protocol: int) -> Callable[[Path, Any], None]:
    def dump(path: Path, model: Any) -> None:
        path.write_bytes(pickle.dumps(model, protocol))

    return dump


JOBLIB_NAMES = ["model.pickle", "model.sav", "model", "model.pkl.gz", "model.joblib.gz", "model.pkl.z", "model.Pkl.BZ2"]
JOBLIB_NAMES += ["model.joblib.xz", "model.pkl.lzma", "model.v1", "MODEL.SAV"]
PICKLE_WRITERS = [
    *(pytest.param(name, dump_joblib, id=f"joblib {name}") for name in JOBLIB_NAMES),
    *(pytest.param("model.bin", dump_protocol(number), id=f"protocol {number}") for number in range(6)),
    pytest.param("model.gz", dump_gzip, id="gzip"),
    pytest.param("model", dump_lzma, id="lzma without an ending"),
]


@each_case(("name", "dump"), PICKLE_WRITERS)
@each_case("model", [LINE, PIPELINE], ids=["estimator", "pipeline"])
def test_pickle_of_any_name_is_served(
    load: Load, tmp_path: Path, name: str, dump: Callable[[Path, Any], None], model: Any
) -> None:
    dump(tmp_path / name, model)
    (tmp_path / "README.md").write_text("a model")
    predictor = load("regression")
    assert predictor.name == "scikit-learn"
    assert np.array_equal(predict_csv(predictor, DATA).values.ravel(), model.predict(DATA))


def write_onnx(path: Path) -> None:
    path.write_bytes(to_onnx(LINE, DATA.to_numpy(np.float32)[:1]).SerializeToString())


@each_case("name", ["model", "model.bin", "model.onnx.v2", "model.pb"])
def test_onnx_file_of_any_name_is_served(load: Load, tmp_path: Path, name: str) -> None:
    write_onnx(tmp_path / name)
    predictor = load("regression")
    assert predictor.name == "onnx"
    assert np.allclose(predict_csv(predictor, DATA).values.ravel(), LINE.predict(DATA))


def test_pickled_booster_under_sagemakers_name_is_served(load: Load, tmp_path: Path) -> None:
    (tmp_path / "xgboost-model").write_bytes(pickle.dumps(BOOSTER))
    predictor = load("regression")
    assert predictor.name == "xgboost"
    assert np.array_equal(predict_csv(predictor, DATA).values.ravel(), BOOSTER.predict(xgboost.DMatrix(DATA)))


def test_pickle_without_an_ending_names_its_framework_before_it_is_loaded(tmp_path: Path) -> None:
    model = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1)
    (tmp_path / "model").write_bytes(gzip.compress(pickle.dumps(model)))
    assert create_predictor(model_settings(tmp_path)).name == "lightgbm"


def dumped(value: Any, protocol: int = 5) -> bytes:
    return pickle.dumps(value, protocol)


def compressed_by_joblib(value: Any) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(value, buffer, compress=3)
    return buffer.getvalue()


DATA_FILES = {
    "frame.pickle": dumped(DATA),
    "frame.pkl.gz": gzip.compress(dumped(DATA)),
    "arrays.sav": dumped({"a": np.ones(3), "b": [1, 2]}),
    "arrays": compressed_by_joblib(np.ones(100)),
    "sparse.p": dumped(csr_array(np.eye(3))),
    "words.pickle": dumped(["cat", "dog"], 0),
    "vocabulary.txt": b"cat\ndog\nbird\n",
    "vocabulary.json": b'{"cat": 1}',
    "input.csv.gz": gzip.compress(b"a,b\n1,2\n"),
    "power.csv": b"x^2,b\n1,2\n",
    "start.bin": b"\x08\x03\x12\x08skl2onnx",
    "opcode.bin": b"\x80\x04\xff\xff",
    "empty": b"",
}


@each_case("name", DATA_FILES)
def test_data_file_is_no_model(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(DATA_FILES[name])
    assert list_artifacts(tmp_path) == ()
    assert list_unnamed_artifacts(tmp_path) == ()
    with pytest.raises(ModelLoadError, match=f"There is no model in .* {name} is |It contains {name}"):
        create_predictor(model_settings(tmp_path))


def test_damaged_model_without_a_known_ending_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "model.gz").write_bytes(gzip.compress(dumped(LINE))[:-40])
    predictor = create_predictor(model_settings(tmp_path))
    with pytest.raises(ModelLoadError, match=r"model\.gz could not be loaded: .*\.$"):
        predictor.load()


def test_artifact_with_a_known_ending_precedes_unnamed_ones(load: Load, tmp_path: Path) -> None:
    (tmp_path / "lookup.pickle").write_bytes(pickle.dumps([FailsOnUnpickle()]))
    assert load("regression", model=LINE).name == "scikit-learn"


def test_several_unnamed_artifacts_are_named_in_the_error(tmp_path: Path) -> None:
    dump_joblib(tmp_path / "b.sav", LINE)
    dump_gzip(tmp_path / "a.pkl.gz", LINE)
    with pytest.raises(ModelLoadError, match=r"several artifacts \(a\.pkl\.gz, b\.sav\).*load_model"):
        create_predictor(model_settings(tmp_path))


SCORE = (
    "def score(data, model): return __import__('pandas').DataFrame({'Predictions': [float(model is None)] * len(data)})"
)
HOOKS_THAT_PREDICT = [
    pytest.param("regression", SCORE, id="score"),
    pytest.param("regression", "def score_stream(data, model): yield 1.0", id="score_stream"),
    pytest.param("textgeneration", "def chat(params, model): return ''", id="chat"),
    pytest.param("unstructured", "def score_unstructured(model, data, **kwargs): return ''", id="unstructured"),
    pytest.param("transform", "def transform(data, model): return data", id="transform"),
]


@each_case(("target_type", "custom"), HOOKS_THAT_PREDICT)
def test_unnamed_artifact_is_not_loaded_where_a_hook_predicts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, target_type: str, custom: str
) -> None:
    write_model(tmp_path, custom=custom)
    (tmp_path / "lookup.pickle").write_bytes(pickle.dumps([FailsOnUnpickle()]))
    with caplog.at_level("INFO"):
        predictor = create_predictor(model_settings(tmp_path, target_type, target_name="text"))
        predictor.load()
        predictor.close()
    assert "lookup.pickle may be a model, but is not loaded, since custom.py predicts" in caplog.text


def test_load_model_hook_reads_unnamed_files_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = """
    import pickle
    from pathlib import Path

    def load_model(code_dir):
        return pickle.loads((Path(code_dir) / "model.v1").read_bytes())
    """
    write_model(tmp_path, custom=source)
    dump_protocol(4)(tmp_path / "model.v1", LINE)
    (tmp_path / "lookup.pickle").write_bytes(pickle.dumps([FailsOnUnpickle()]))
    predictor = create_predictor(model_settings(tmp_path))
    predictor.load()
    assert np.array_equal(predict_csv(predictor, DATA).values.ravel(), LINE.predict(DATA))
    predictor.close()
    assert "may be a model" not in caplog.text


@each_case(
    ("target_type", "custom", "model"),
    [
        pytest.param("regression", "def post_process(predictions, model): return predictions + 1", LINE, id="predict"),
        pytest.param("transform", "def init(**kwargs): pass", StandardScaler().fit(DATA), id="transform"),
    ],
)
def test_unnamed_artifact_is_loaded_where_no_hook_predicts(
    tmp_path: Path, target_type: str, custom: str, model: Any
) -> None:
    write_model(tmp_path, custom=custom)
    dump_joblib(tmp_path / "model.sav", model)
    predictor = create_predictor(model_settings(tmp_path, target_type))
    predictor.load()
    assert predictor.name == "scikit-learn"
    if target_type == "regression":
        assert np.array_equal(predict_csv(predictor, DATA).values.ravel(), LINE.predict(DATA) + 1)
    predictor.close()


@pytest.mark.process
@each_case("command", ["score", "validation"])
def test_commands_find_an_unnamed_artifact(tmp_path: Path, command: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    model = make_pipeline(SimpleImputer().set_output(transform="pandas"), LinearRegression()).fit(DATA, TARGET)
    dump_joblib(folder / "model.pkl.z", model)
    DATA.to_csv(tmp_path / "rows.csv", index=False)
    finished = drum(command, "--code-dir", folder, "--target-type", "regression", "--input", tmp_path / "rows.csv")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    if command == "score":
        assert np.allclose([*map(float, finished.stdout.split()[1:])], model.predict(DATA))
