"""Errors of folders without a model name the files that are there, and what to do with them."""

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import catboost
import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.linear_model import LinearRegression

from datarobot_drum.drum.artifact_predictors.unserved_formats import unserved_format
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.language_predictors.factory import create_predictor
from tests.cases import each_case
from tests.cli.commands import drum
from tests.language_predictors.builders import model_settings, write_model

DATA, TARGET = np.arange(20.0).reshape(10, 2), np.arange(10.0)
LINE = LinearRegression().fit(DATA, TARGET)


def write_catboost(file_format: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        model = catboost.CatBoostRegressor(iterations=2, verbose=0, thread_count=1, allow_writing_files=False)
        model.fit(DATA, TARGET).save_model(str(path), format=file_format)

    return write


def write_lightgbm_dump(path: Path) -> None:
    options = {"verbose": -1, "num_threads": 1}
    path.write_text(json.dumps(lightgbm.train(options, lightgbm.Dataset(DATA, TARGET), 2).dump_model(), indent=1))


def write_xgboost_dump(file_format: str) -> Callable[[Path], None]:
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(DATA, TARGET), 2)
    return lambda path: booster.dump_model(path, dump_format=file_format)


def old_xgboost(magic: bytes) -> bytes:
    """The start of XGBoost's old format: 136 bytes of parameters, then the names of objective and booster."""
    names = b"".join(struct.pack("<Q", len(name)) + name for name in (b"binary:logistic", b"gbtree"))
    return magic + struct.pack("<f", 0.5) + bytes(132) + names + bytes(200)


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        file.addfile(tarfile.TarInfo("model.pkl"))
    return buffer.getvalue()


def safetensors() -> bytes:
    header = json.dumps({"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4)


WRITTEN_BY_LIBRARIES = {
    "catboost.json": (write_catboost("json"), "is a CatBoost model in JSON: save it with save_model"),
    "model": (write_catboost("pmml"), "is a PMML document: export the model"),
    "lightgbm.json": (write_lightgbm_dump, "is a JSON dump of LightGBM (dump_model), which LightGBM itself cannot"),
    "dump.txt": (write_xgboost_dump("text"), "is a text dump of XGBoost, which cannot be loaded again: save the model"),
    "dump.json": (write_xgboost_dump("json"), "is a text dump of XGBoost"),
    "model.mlmodel": (write_catboost("coreml"), "is a Core ML model: export it to ONNX"),
}

CONTENTS: Mapping[str, tuple[bytes, str]] = {
    "xgboost-model": (old_xgboost(b""), "an XGBoost model in the old binary format, which XGBoost 3 does not read"),
    "0001.model": (old_xgboost(b"binf"), "load it with XGBoost 2.1 or older and save it again with save_model"),
    "model.rds": (gzip.compress(b"X\n\0\0\0\x03\0\x04\x03\0"), "is a file of R: "),
    "model.RData": (b"RDX3\nX\n\0\0\0\x03", "R is not served"),
    "model.rda": (b"?", "is a file of R"),
    "model.pmml": (b'<?xml version="1.0"?>\n<!-- by hand -->\n<PMML version="4.4">', "is a PMML document"),
    "llama.Q4.gguf": (b"GGUF\x03\0\0\0", "serve it with an engine (llama.cpp, vLLM)"),
    "weights": (b"GGUF\x03\0\0\0", "a language model in the GGUF format"),
    "model.safetensors": (
        safetensors(),
        "is a file of weights alone (safetensors): add the config.json and the tokenizer",
    ),
    "lite": (b"\x1c\0\0\0TFL3", "is a TensorFlow Lite model"),
    "frozen.pb": (b"\x0a\x10", "is a TensorFlow graph"),
    "gbm.zip": (archive("model.ini", "domains/d000.txt"), "is an H2O MOJO: Java is not served"),
    "pipeline.mojo": (archive("mojo/pipeline.pb"), "is an H2O MOJO"),
    "net.mar": (archive("MAR-INF/MANIFEST.json", "model.pth"), "is an archive of TorchServe: unpack the model file"),
    "model.zip": (archive("model.pkl"), "is a zip archive: unpack it into the model folder"),
    "model.tar.gz": (tar(), "is a tar archive: unpack it into the model folder"),
    "model.jar": (archive("META-INF/MANIFEST.MF"), "is a Java model"),
    "model.jlso": (b"?", "is a Julia model"),
    "model.sav": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer, not the file"),
    "model.pkl.zst": (b"\x28\xb5\x2f\xfd\0", "is compressed with Zstandard: save the model with another compression"),
    "data.pickle": (pickle.dumps({"a": [1.0]}), "is a pickle of data, not of a model"),
}


def no_model_error(folder: Path) -> str:
    with pytest.raises(ModelLoadError) as error:
        create_predictor(model_settings(folder))
    message = str(error.value)
    assert message.startswith(f"There is no model in {folder}: put a custom.py or a model artifact there (.pkl, ")
    return message.partition("). ")[2]


@each_case("name", WRITTEN_BY_LIBRARIES)
def test_file_of_an_unserved_format_is_explained(tmp_path: Path, name: str) -> None:
    write, explanation = WRITTEN_BY_LIBRARIES[name]
    write(tmp_path / name)
    assert no_model_error(tmp_path).startswith(f"{name} {explanation}")


@each_case("name", CONTENTS)
def test_unserved_content_is_explained(tmp_path: Path, name: str) -> None:
    content, explanation = CONTENTS[name]
    (tmp_path / name).write_bytes(content)
    message = no_model_error(tmp_path)
    assert message.startswith(f"{name} is ")
    assert explanation in message
    assert message.endswith(".")
    assert "\n" not in message


ORDINARY = {
    "README.md": b"# A model\n",
    "rows.csv": b"a,b\n1,2\n",
    "config.json": b'{"name": "tree", "version": "1"}',
    "list.json": b'[{"node": 1}]',
    "page.xml": b"<?xml version='1.0'?><page>PMML</page>",
    "rows.csv.gz": gzip.compress(b"a,b\n1,2\n"),
    "table.npz": archive("a.npy"),
    "a.bin": bytes(300),
}


@each_case("name", ORDINARY)
def test_ordinary_file_is_no_unserved_format(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(ORDINARY[name])
    assert unserved_format(tmp_path / name) is None
    assert no_model_error(tmp_path) == f"It contains {name}."


def test_empty_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / ".hidden").touch()
    assert no_model_error(tmp_path) == "The folder is empty."


def test_many_other_files_are_counted(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}.md").touch()
    (tmp_path / "03x").mkdir()
    assert no_model_error(tmp_path) == ("It contains 00.md, 01.md, 02.md, 03.md, 03x/, 04.md, 05.md, 06.md and 5 more.")


@each_case("name", ["model.pkl", "model.sav", "deep/er/model.pkl"])
def test_model_in_a_subfolder_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "sub" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(LINE))
    folder = path.parent.relative_to(tmp_path)
    assert no_model_error(tmp_path) == (
        f"sub/{name} is in a subfolder, and only the top level is searched: move it there, or name {folder}/ as "
        "--code-dir."
    )


def test_unserved_file_in_a_subfolder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "model.rds").touch()
    assert no_model_error(tmp_path).startswith("r/model.rds is a file of R: ")


def test_model_folder_further_down_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs" / "1" / "variables").mkdir(parents=True)
    (tmp_path / "runs" / "1" / "saved_model.pb").touch()
    assert no_model_error(tmp_path) == "runs/1/ is a model folder (tensorflow): name it as --code-dir."


def test_custom_code_without_a_model_is_given_the_explanation(tmp_path: Path) -> None:
    write_model(tmp_path, custom="def post_process(predictions, model): return predictions")
    (tmp_path / "model.rds").touch()
    predictor = create_predictor(model_settings(tmp_path))
    with pytest.raises(ModelLoadError, match=r"^Nothing predicts: .* model folder\. model\.rds is a file of R: .*\.$"):
        predictor.load()


@each_case(
    ("name", "content", "explanation"),
    [
        pytest.param("model.bst", old_xgboost(b""), "an XGBoost model in the old binary format", id="xgboost"),
        pytest.param("model.pkl", CONTENTS["model.sav"][0], "a Git LFS pointer", id="lfs"),
        pytest.param("model.joblib", tar(), "a tar archive", id="tar"),
    ],
)
def test_unserved_content_under_an_artifacts_name_is_explained(
    tmp_path: Path, name: str, content: bytes, explanation: str
) -> None:
    (tmp_path / name).write_bytes(content)
    predictor = create_predictor(model_settings(tmp_path))
    with pytest.raises(ModelLoadError, match=rf"^{name} is {explanation}.*\.$"):
        predictor.load()


@pytest.mark.process
def test_server_explains_what_it_found(tmp_path: Path) -> None:
    (tmp_path / "model.rds").touch()
    finished = drum("server", "--code-dir", tmp_path, "--target-type", "regression", "--address", "127.0.0.1:1")
    assert finished.returncode == 1
    assert "model.rds is a file of R: " in finished.stderr
