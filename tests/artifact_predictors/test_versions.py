"""Files of other library versions: a newer one is a warning, a file that cannot be loaded names both versions."""

import gzip
import json
import logging
import pickle
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
import pytest
import xgboost
from catboost import CatBoostRegressor
from lightgbm import LGBMRegressor
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from datarobot_drum.drum.artifact_predictors.versions import warn_about_newer_libraries
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.factory import create_predictor
from tests.cases import each_case
from tests.cli.commands import drum
from tests.language_predictors.builders import model_settings, write_model

DATA, TARGET = np.arange(20.0).reshape(10, 2), np.arange(10.0)
LINE = LinearRegression().fit(DATA, TARGET)
XGBOOST = xgboost.XGBRegressor(n_estimators=2, n_jobs=1).fit(DATA, TARGET)
LIGHTGBM = LGBMRegressor(n_estimators=2, n_jobs=1, verbose=-1).fit(DATA, TARGET)
CATBOOST = CatBoostRegressor(iterations=2, verbose=0, thread_count=1, allow_writing_files=False).fit(DATA, TARGET)

UBJSON_VERSION = b"\x07version[#L\0\0\0\0\0\0\0\x03"


@dataclass
class LoadMessages:
    """Loads the model in a folder; returns what was logged as a warning."""

    folder: Path
    caplog: pytest.LogCaptureFixture
    loaded: list[BasePredictor] = field(default_factory=list)

    def __call__(self) -> list[str]:
        self.caplog.clear()
        predictor = create_predictor(model_settings(self.folder))
        self.loaded.append(predictor)
        predictor.load()
        return [record.getMessage() for record in self.caplog.records if record.levelno >= logging.WARNING]

    def in_folder(self, folder: Path) -> "LoadMessages":
        return replace(self, folder=folder)


@pytest.fixture
def load_messages(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[LoadMessages]:
    load = LoadMessages(tmp_path, caplog)
    yield load
    for predictor in load.loaded:
        predictor.close()


def write_xgboost_json(path: Path, *, is_newer: bool, first: bool = False, indent: int | None = None) -> None:
    XGBOOST.save_model(path.with_suffix(".json"))
    document = json.loads(path.with_suffix(".json").read_text())
    found = document.pop("version")
    entry = {"version": [found[0] + 1, 300, 0] if is_newer else found}
    path.with_suffix(".json").unlink()
    path.write_text(json.dumps({**entry, **document} if first else {**document, **entry}, indent=indent))


def ubjson(content: bytes, *, is_newer: bool) -> bytes:
    """Replace the version, with a number of two bytes in it."""
    major, *_ = map(int, version("xgboost-cpu").split("."))
    newer = UBJSON_VERSION + b"i" + bytes([major + 1]) + b"I" + (300).to_bytes(2, "big") + b"i\0"
    pattern = re.compile(re.escape(UBJSON_VERSION) + b"(?:i.){3}", re.DOTALL)
    assert pattern.search(content)
    return pattern.sub(newer, content) if is_newer else content


def write_xgboost_pickle(path: Path, *, is_newer: bool) -> None:
    content = pickle.dumps(XGBOOST)
    path.write_bytes(newer_major(content) if is_newer else content)


def write_joblib_pipeline(path: Path, *, is_newer: bool) -> None:
    joblib.dump(make_pipeline(StandardScaler(), XGBOOST).fit(DATA, TARGET), path)
    if is_newer:
        path.write_bytes(newer_major(path.read_bytes()))


def newer_major(content: bytes) -> bytes:
    """Replace the major version of XGBoost by the next one, without a change of the length."""
    major, *_ = map(int, version("xgboost-cpu").split("."))
    return re.sub(
        re.escape(UBJSON_VERSION) + b"i.", UBJSON_VERSION + b"i" + bytes([major + 1]), content, flags=re.DOTALL
    )


def write_replaced(dump: Callable[[Any], bytes], model: Any, pattern: bytes, other: bytes) -> Callable[..., None]:
    def write(path: Path, *, is_newer: bool) -> None:
        content = dump(model)
        assert re.search(pattern, content)
        path.write_bytes(re.sub(pattern, other, content) if is_newer else content)

    return write


def lightgbm_text(model: Any) -> bytes:
    return str(model.booster_.model_to_string()).encode()


def cbm(model: Any) -> bytes:
    return bytes(model._serialize_model())


def write_skops(path: Path, *, is_newer: bool) -> None:
    import skops.io  # takes seconds

    content = skops.io.dumps(LINE)
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    schema |= {"_skops_version": "99.0"} if is_newer else {}
    members["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)


# `tags/v1.2.10` becomes `tags/v9.2.10`: the length of texts in the file must not change.
CATBOOST_VERSION, CATBOOST_NEWER = rb"(Branch: tags/v|Summary: CatBoost release )1", rb"\g<1>9"
WRITERS: Mapping[str, tuple[str, str, Callable[..., Any]]] = {
    "XGBoost json": ("model.json", "XGBoost", write_xgboost_json),
    "XGBoost version first": (
        "model",
        "XGBoost",
        lambda path, is_newer: write_xgboost_json(path, is_newer=is_newer, first=True, indent=1),
    ),
    "XGBoost ubj": (
        "model.ubj",
        "XGBoost",
        lambda path, is_newer: path.write_bytes(ubjson(XGBOOST.get_booster().save_raw("ubj"), is_newer=is_newer)),
    ),
    "XGBoost pickle": ("model.pkl", "XGBoost", write_xgboost_pickle),
    "XGBoost in a pipeline": ("model.joblib", "XGBoost", write_joblib_pipeline),
    "LightGBM text": ("model.txt", "LightGBM", write_replaced(lightgbm_text, LIGHTGBM, rb"version=v4", rb"version=v9")),
    "LightGBM pickle": ("model", "LightGBM", write_replaced(pickle.dumps, LIGHTGBM, rb"version=v4", rb"version=v9")),
    "CatBoost": ("model.cbm", "CatBoost", write_replaced(cbm, CATBOOST, CATBOOST_VERSION, CATBOOST_NEWER)),
    "CatBoost pickle": ("m.sav", "CatBoost", write_replaced(pickle.dumps, CATBOOST, CATBOOST_VERSION, CATBOOST_NEWER)),
    "skops": ("model.skops", "skops", write_skops),
}


@pytest.mark.parametrize("case", WRITERS)
def test_newer_library_as_writer_is_a_warning_with_both_versions(
    tmp_path: Path, load_messages: LoadMessages, case: str
) -> None:
    name, library, write = WRITERS[case]
    write(tmp_path / name, is_newer=True)
    message = load_messages()[0]
    installed = version("xgboost-cpu" if library == "XGBoost" else library)
    assert message.startswith(f"{name} was written by {library} ")
    assert f", and {installed}" in message
    assert "Install a newer " in message
    assert library != "XGBoost" or f"{library} {int(installed[0]) + 1}." in message


@pytest.mark.parametrize("case", WRITERS)
def test_installed_library_as_writer_is_no_warning(tmp_path: Path, load_messages: LoadMessages, case: str) -> None:
    name, _, write = WRITERS[case]
    write(tmp_path / name, is_newer=False)
    assert load_messages() == []


def test_newer_library_is_seen_in_a_compressed_pickle(tmp_path: Path, load_messages: LoadMessages) -> None:
    write_xgboost_pickle(tmp_path / "plain", is_newer=True)
    content = (tmp_path / "plain").read_bytes()
    (tmp_path / "plain").unlink()
    (tmp_path / "model.pkl.gz").write_bytes(gzip.compress(content))
    message = load_messages()[0]
    assert message.startswith("model.pkl.gz was written by XGBoost ")


def test_newer_library_is_seen_where_a_hook_loads_the_file(tmp_path: Path, load_messages: LoadMessages) -> None:
    source = """
    import xgboost

    def load_model(code_dir):
        return xgboost.Booster(model_file=code_dir + "/model.json")
    """
    write_model(tmp_path, custom=source)
    write_xgboost_json(tmp_path / "model.json", is_newer=True)
    (message,) = load_messages()
    assert message.startswith("model.json was written by XGBoost ")


def test_newer_keras_is_seen_before_it_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    info = tmp_path / "keras-3.9.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: keras\nVersion: 3.9.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.11.2"}))
        archive.writestr("config.json", "{}")
    warn_about_newer_libraries(tmp_path / "model.keras")
    assert "model.keras was written by keras 3.11.2, and 3.9.0 is installed" in caplog.text


def test_other_scikit_learn_is_a_warning_of_its_own(tmp_path: Path, load_messages: LoadMessages) -> None:
    installed = version("scikit-learn").encode()
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(LINE).replace(installed, b"9" + installed[1:]))
    (message,) = load_messages()
    assert f"from version 9{installed[1:].decode()} when using version {installed.decode()}" in message


def load_error(folder: Path) -> str:
    predictor = create_predictor(model_settings(folder))
    with pytest.raises(ModelLoadError) as error:
        predictor.load()
    predictor.close()
    return str(error.value)


@each_case(
    ("change", "needed"),
    [
        pytest.param({"ir_version": 99}, "IR version 99", id="ir version"),
        pytest.param({"": 99}, "opset 99 of ai.onnx", id="opset"),
    ],
)
def test_onnx_file_for_a_newer_runtime_is_rejected_with_both_versions(
    tmp_path: Path, change: dict[str, int], needed: str
) -> None:
    graph = to_onnx(LINE, DATA.astype(np.float32)[:1])
    graph.ir_version = change.get("ir_version", 8)
    for opset in graph.opset_import:
        opset.version = change.get(opset.domain, opset.version)
    onnx.save(graph, tmp_path / "model.onnx")
    assert re.fullmatch(
        rf"model\.onnx needs {needed}, and the installed onnxruntime {re.escape(version('onnxruntime'))} reads up to "
        r"(IR version|opset) \d+: install a newer onnxruntime, or export the model for that version\.",
        load_error(tmp_path),
    )


def test_newer_xgboost_file_that_cannot_be_loaded_names_both_versions(tmp_path: Path) -> None:
    write_xgboost_json(tmp_path / "model.json", is_newer=True)
    text = (tmp_path / "model.json").read_text().replace("reg:squarederror", "reg:unheardof")
    (tmp_path / "model.json").write_text(text)
    message = load_error(tmp_path)
    assert "Unknown objective function: `reg:unheardof`. It was made with XGBoost " in message
    assert f", and {version('xgboost-cpu')} is installed: install that version, or load it there" in message
    assert "Stack trace" not in message
    assert "/" not in message


SKLEARN = version("scikit-learn")
OLDER = "0" + SKLEARN[1:]


def moved(protocol: int, *replacements: tuple[bytes, bytes]) -> bytes:
    content = pickle.dumps(LINE, protocol)
    for own, other in ((SKLEARN.encode(), OLDER.encode()), *replacements):
        assert own in content
        content = content.replace(own, other)
    return content


GLOBAL = b"sklearn.linear_model._base"
MOVED = [
    pytest.param(moved(0, (GLOBAL, b"sklearn.linear_model.base")), "sklearn.linear_model.base", id="protocol 0"),
    pytest.param(moved(2, (GLOBAL, b"sklearn.linear_model.logistic")), "sklearn.linear_model.logistic", id="module"),
    pytest.param(moved(4, (GLOBAL, b"sklearn.externals.joblib__")), "sklearn.externals.joblib__", id="protocol 4"),
]


@each_case(("content", "module"), MOVED)
def test_module_that_moved_is_named_with_both_versions(tmp_path: Path, content: bytes, module: str) -> None:
    (tmp_path / "model.pkl").write_bytes(content)
    message = load_error(tmp_path)
    parent = module if ".externals." not in module else "sklearn.externals"
    assert message.startswith(f"model.pkl could not be loaded: it needs the module {parent}")
    assert f", which scikit-learn {SKLEARN} does not have: another version of it is needed." in message
    assert f"It was made with scikit-learn {OLDER}, and {SKLEARN} is installed: install that version" in message
    assert "datarobot-drum[" not in message


@each_case(
    ("text", "library"),
    [
        pytest.param(b"cnumpy._kore.multiarray\nscalar\n.", "numpy", id="numpy"),
        pytest.param(b"cpandas.core.indexes.numeric\nInt64Index\n.", "pandas", id="pandas"),
        pytest.param(b"csklearn.externals.joblib.numpy_pickle\nNumpyArrayWrapper\n.", "scikit-learn", id="joblib"),
    ],
)
def test_moved_module_of_any_library_names_the_installed_version(tmp_path: Path, text: bytes, library: str) -> None:
    (tmp_path / "model.pkl").write_bytes(b"\x80\x02" + text)
    assert f", which {library} {version(library)} does not have: another version of it" in load_error(tmp_path)


@each_case("name", ["model.pkl", "model.pkl.z"])
def test_name_that_a_library_lost_is_explained_with_both_versions(tmp_path: Path, name: str) -> None:
    content = moved(4, (b"LinearRegression", b"RemainderColumns"))
    (tmp_path / name).write_bytes(zlib.compress(content) if name.endswith(".z") else content)
    message = load_error(tmp_path)
    assert message.startswith(
        f"{name} could not be loaded: AttributeError: Can't get attribute 'RemainderColumns' on module "
        f"'sklearn.linear_model._base'. scikit-learn {SKLEARN} has no such name: the model probably needs another "
        "version of it."
    )
    assert f"It was made with scikit-learn {OLDER}, and {SKLEARN} is installed" in message


def test_load_model_hook_that_reads_a_moved_module_is_explained(tmp_path: Path) -> None:
    write_model(tmp_path, custom="def load_model(code_dir): from sklearn.externals import joblib")
    message = load_error(tmp_path)
    assert "The hook load_model failed: custom.py, line 1: " in message
    assert message.endswith(
        f" scikit-learn {SKLEARN} has no such name: the model probably needs another version of it."
    )


def test_unreadable_catboost_file_is_explained_without_source_files(tmp_path: Path) -> None:
    (tmp_path / "model.cbm").write_bytes(cbm(CATBOOST).replace(b"FlabuffersModel_v1", b"FlabuffersModel_v9"))
    message = load_error(tmp_path)
    assert message == "model.cbm could not be loaded: CatBoostError: Unsupported model format: FlabuffersModel_v9."


def test_damaged_onnx_file_is_explained_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07")
    message = load_error(tmp_path)
    assert message.startswith("model.onnx could not be loaded: ")
    assert str(tmp_path) not in message


def test_pickle_of_another_python_names_this_one(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"\x80\x09N.")
    assert re.search(
        r"unsupported pickle protocol: 9\. It was probably pickled by another Python; this is 3\.\d+",
        (load_error(tmp_path)),
    )


@pytest.mark.process
def test_command_warns_of_a_newer_library(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    write_xgboost_json(folder / "model.json", is_newer=True)
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    finished = drum("score", "--code-dir", folder, "--target-type", "regression", "--input", tmp_path / "rows.csv")
    assert finished.returncode == 0, finished.stderr
    assert "model.json was written by XGBoost " in finished.stderr
