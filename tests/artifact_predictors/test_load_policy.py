"""``DRUM_PICKLE_POLICY``: files that run code while they are loaded are scanned or rejected; the code never runs."""

import importlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from datarobot_drum.drum.artifact_predictors.load_policy import check_keras, check_torch
from datarobot_drum.drum.artifact_predictors.registry import load_artifact
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.settings.load_policy import PicklePolicy
from tests.cases import each_case

DIABETES, TARGET = load_diabetes(return_X_y=True, as_frame=True)
COMPRESSIONS = [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)]
ALLOW, SCAN, REFUSE = PicklePolicy
LARGE_BYTES = b"\x80\x04\x8e\xff\xff\xff\xff\xff\x0f\0\0"
"""A pickle that declares more bytes than it has."""


class Calls:
    """Pickles as the call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def _call_of_dotted_name(module: str, name: str, argument: str) -> bytes:
    """Return a pickle that calls a name which is reached through a module that another one imports."""

    def text(value: str) -> bytes:
        return b"\x8c" + bytes([len(value)]) + value.encode()

    return b"\x80\x04" + text(module) + text(name) + b"\x93" + text(argument) + b"\x85R."


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that dangerous pickles of a test create when they are loaded."""
    return tmp_path / "ran"


def _touch(marker: Path) -> Calls:
    return Calls(os.system, f"touch '{marker}'")


def _fitted() -> dict[str, Any]:
    texts, classes = ["good one", "bad one", "good two"], [1, 0, 1]
    return {
        "linear": LinearRegression().fit(DIABETES, TARGET),
        "forest": RandomForestRegressor(n_estimators=3).fit(DIABETES, TARGET),
        "text": make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, classes),
    }


FITTED = _fitted()


def test_dangerous_pickle_runs_where_it_is_allowed(tmp_path: Path, marker: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(_touch(marker)))
    load_artifact(tmp_path / "model.pkl", None, ALLOW)
    assert marker.exists()


@each_case("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@each_case("policy", [SCAN, REFUSE])
def test_dangerous_pickle_is_rejected_before_it_runs(
    tmp_path: Path, marker: Path, policy: PicklePolicy, protocol: int
) -> None:
    model = {"model": FITTED["linear"], "more": [_touch(marker)]}
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model, protocol))
    with pytest.raises(ModelLoadError, match=rf"^model\.pkl is not loaded.*DRUM_PICKLE_POLICY={policy.value}"):
        load_artifact(tmp_path / "model.pkl", None, policy)
    assert not marker.exists()


@each_case("compression", COMPRESSIONS, ids=str)
@each_case("policy", [SCAN, REFUSE])
def test_code_behind_the_arrays_of_joblib_is_rejected(
    tmp_path: Path, marker: Path, policy: PicklePolicy, compression: Any
) -> None:
    values = [np.arange(1000.0), np.array(["a", None], dtype=object), _touch(marker)]
    joblib.dump(values, tmp_path / "model.joblib", compress=compression)
    with pytest.raises(ModelLoadError, match="system" if policy is SCAN else "refuse"):
        load_artifact(tmp_path / "model.joblib", None, policy)
    assert not marker.exists()


def test_code_in_an_array_of_objects_is_rejected(tmp_path: Path, marker: Path) -> None:
    joblib.dump([np.array([_touch(marker)], dtype=object)], tmp_path / "model.joblib")
    with pytest.raises(ModelLoadError, match="system"):
        load_artifact(tmp_path / "model.joblib", None, SCAN)
    assert not marker.exists()


@each_case("name", FITTED)
@each_case("compression", COMPRESSIONS, ids=str)
def test_harmless_model_is_loaded_after_the_scan(tmp_path: Path, name: str, compression: Any) -> None:
    joblib.dump(FITTED[name], tmp_path / "model.joblib", compress=compression)
    assert type(load_artifact(tmp_path / "model.joblib", None, SCAN)) is type(FITTED[name])


class OwnEstimator(BaseEstimator):  # type: ignore[misc]
    """A class outside the libraries, as in custom.py."""


def test_class_of_the_model_folder_is_loaded_after_the_scan(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(OwnEstimator()))
    assert isinstance(load_artifact(tmp_path / "model.pkl", None, SCAN), OwnEstimator)


DANGEROUS: dict[str, tuple[Callable[..., Any], tuple[object, ...]]] = {
    "builtins.eval": (eval, ("1",)),
    "builtins.__import__": (__import__, ("os",)),
    "importlib.import_module": (importlib.import_module, ("os",)),
    "subprocess.check_output": (subprocess.check_output, (["true"],)),
    "numpy.load": (np.load, ("x",)),
    "joblib.numpy_pickle.load": (joblib.load, ("x",)),
    "_pickle.loads": (pickle.loads, (b"N.",)),
    "os.truncate": (os.truncate, ("x", 0)),
}


@each_case("name", DANGEROUS)
def test_scan_names_the_dangerous_import(tmp_path: Path, name: str) -> None:
    function, arguments = DANGEROUS[name]
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Calls(function, *arguments)))
    found = name.replace("os.truncate", f"{os.name}.truncate")
    with pytest.raises(ModelLoadError, match=rf"it imports {found}, which DRUM_PICKLE_POLICY=scan"):
        load_artifact(tmp_path / "model.pkl", None, SCAN)


def test_cloudpickled_function_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(import_from_string("cloudpickle:dumps")(lambda rows: rows))
    for policy in (SCAN, REFUSE):
        with pytest.raises(ModelLoadError, match="is not loaded"):
            load_artifact(tmp_path / "model.pkl", None, policy)


def test_name_reached_through_a_module_of_a_library_is_rejected(tmp_path: Path, marker: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(_call_of_dotted_name("joblib.numpy_pickle", "os.system", f"touch '{marker}'"))
    with pytest.raises(ModelLoadError, match=r"joblib\.numpy_pickle\.os\.system"):
        load_artifact(tmp_path / "model.pkl", None, SCAN)
    assert not marker.exists()


@each_case(
    "content",
    [b"\x80\x04", b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f", b"no pickle", LARGE_BYTES],
    ids=["truncated", "huge frame", "text", "huge bytes"],
)
def test_file_that_cannot_be_scanned_is_rejected(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pkl").write_bytes(content)
    with pytest.raises(ModelLoadError, match="cannot scan it"):
        load_artifact(tmp_path / "model.pkl", None, SCAN)


def test_bytes_that_only_the_scan_would_skip_are_rejected(tmp_path: Path, marker: Path) -> None:
    """A class that only looks like joblib's array must not hide opcodes from the scan."""
    hidden = pickle.dumps(_touch(marker), 2)[2:]
    for reference in (b"cother\nNumpyArrayWrapper\n", b"cjoblib.numpy_pickle\nx.NumpyArrayWrapper\n"):
        (tmp_path / "model.pkl").write_bytes(b"\x80\x02" + reference + b")\x81}b" + hidden)
        with pytest.raises(ModelLoadError, match="is not loaded"):
            load_artifact(tmp_path / "model.pkl", None, SCAN)
    assert not marker.exists()


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "datarobot_drum.drum.artifact_predictors.pickle_scan", raising=False)
    monkeypatch.setitem(sys.modules, "picklescan.scanner", None)
    monkeypatch.setitem(sys.modules, "picklescan", None)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(FITTED["linear"]))
    with pytest.raises(ModelLoadError, match=r"install datarobot-drum\[scan\]"):
        load_artifact(tmp_path / "model.pkl", None, SCAN)


def test_refused_pickle_names_what_to_use(tmp_path: Path) -> None:
    joblib.dump(FITTED["linear"], tmp_path / "model.joblib")
    with pytest.raises(ModelLoadError, match="DRUM_PICKLE_POLICY=refuse rejects: save the model as skops or ONNX"):
        load_artifact(tmp_path / "model.joblib", None, REFUSE)


@each_case("policy", [SCAN, REFUSE])
def test_skops_file_of_trusted_types_is_loaded(tmp_path: Path, policy: PicklePolicy) -> None:
    import skops.io  # takes seconds

    skops.io.dump(FITTED["linear"], tmp_path / "model.skops")
    assert isinstance(load_artifact(tmp_path / "model.skops", None, policy), LinearRegression)


def test_skops_file_of_other_types_is_refused_although_they_are_named(tmp_path: Path) -> None:
    import skops.io  # takes seconds

    skops.io.dump(OwnEstimator(), tmp_path / "model.skops")
    custom = type(sys)("custom")
    custom.SKOPS_TRUSTED = [f"{OwnEstimator.__module__}.OwnEstimator"]  # type: ignore[attr-defined]
    assert isinstance(load_artifact(tmp_path / "model.skops", custom, SCAN), OwnEstimator)
    with pytest.raises(ModelLoadError, match=r"OwnEstimator.*DRUM_PICKLE_POLICY=refuse"):
        load_artifact(tmp_path / "model.skops", custom, REFUSE)


def test_native_files_are_loaded_under_refuse(tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost", reason="needs datarobot-drum[xgboost]")
    lightgbm = pytest.importorskip("lightgbm", reason="needs datarobot-drum[lightgbm]")
    catboost = pytest.importorskip("catboost", reason="needs datarobot-drum[catboost]")
    xgboost.train({}, xgboost.DMatrix(DIABETES, label=TARGET), 2).save_model(tmp_path / "a.ubj")
    lightgbm.train({"verbose": -1}, lightgbm.Dataset(DIABETES, TARGET), 2).save_model(tmp_path / "b.txt")
    catboost.CatBoostRegressor(iterations=2, verbose=0, allow_writing_files=False).fit(DIABETES, TARGET).save_model(
        str(tmp_path / "c.cbm")
    )
    for name in ("a.ubj", "b.txt", "c.cbm"):
        assert load_artifact(tmp_path / name, None, REFUSE) is not None


def _torch_archive(path: Path, content: bytes, *members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        for member in members:
            archive.writestr(member, "")
    return path


def test_pickles_in_a_torch_archive_are_scanned(tmp_path: Path, marker: Path) -> None:
    harmless = pickle.dumps({"weight": [1.0]}, 2)
    check_torch(_torch_archive(tmp_path / "good.pth", harmless), SCAN)
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, 2)
    pickler.dump({"weight": _touch(marker)})
    with pytest.raises(ModelLoadError, match="system"):
        check_torch(_torch_archive(tmp_path / "bad.pth", stream.getvalue()), SCAN)
    assert not marker.exists()


def _keras_archive(path: Path, layer: str) -> Path:
    config = {"class_name": "Sequential", "config": {"layers": [{"class_name": layer, "config": {}}]}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", "{}")
    return path


@each_case("policy", [SCAN, REFUSE])
def test_keras_files_with_code_are_rejected(tmp_path: Path, policy: PicklePolicy) -> None:
    check_keras(_keras_archive(tmp_path / "dense.keras", "Dense"), policy)
    (tmp_path / "old.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    for path in (_keras_archive(tmp_path / "lambda.keras", "Lambda"), tmp_path / "old.h5"):
        with pytest.raises(ModelLoadError, match=f"{policy.value} rejects: save the model as .keras without Lambda"):
            check_keras(path, policy)
        check_keras(path, ALLOW)
