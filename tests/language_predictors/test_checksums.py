"""``model.sha256``: listed files are compared before anything of the model folder is loaded."""

import hashlib
import pickle
import subprocess
from pathlib import Path

import pytest
from sklearn.linear_model import LinearRegression

from datarobot_drum.drum.exceptions import ChecksumError, ExtensionError
from datarobot_drum.drum.language_predictors.checksums import check_folder
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.serving.extensions import reject_changed_extension
from tests.cases import each_case
from tests.language_predictors.builders import model_settings


def _line(path: Path, mark: str = " ") -> str:
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()} {mark}{path.name}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder with a correct list."""
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(LinearRegression().fit([[1.0], [2.0]], [1, 2])))
    (tmp_path / "custom.py").write_text("VALUE = 1\n")
    lines = [_line(tmp_path / name) for name in ("model.pkl", "custom.py")]
    (tmp_path / "model.sha256").write_text("".join(lines))
    return tmp_path


def test_unchanged_folder_is_loaded(folder: Path) -> None:
    predictor = create_predictor(model_settings(folder))
    predictor.load()
    assert predictor.name == "scikit-learn"
    predictor.close()


@pytest.mark.parametrize("name", ["model.pkl", "custom.py"])
def test_changed_file_is_named_before_it_is_loaded(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as file:
        file.write(b"#")
    with pytest.raises(ChecksumError, match=f"^{name} has another SHA-256 checksum"):
        create_predictor(model_settings(folder))


def test_missing_file_is_named(folder: Path) -> None:
    (folder / "model.pkl").unlink()
    with pytest.raises(ChecksumError, match=r"^model\.pkl is listed in model\.sha256, but missing"):
        create_predictor(model_settings(folder))


def test_folder_without_list_is_not_checked(tmp_path: Path) -> None:
    check_folder(tmp_path)


def test_list_of_sha256sum_is_understood(folder: Path) -> None:
    (folder / "a b\\c").write_text("x")
    (folder / "sub").mkdir()
    (folder / "sub" / "data.csv").write_text("a\n1\n")
    command = "sha256sum custom.py 'a b\\c' ./sub/data.csv > model.sha256 && sha256sum -b model.pkl >> model.sha256"
    subprocess.run(["bash", "-c", command], cwd=folder, check=True)
    check_folder(folder)
    (folder / "sub" / "data.csv").write_text("a\n2\n")
    with pytest.raises(ChecksumError, match=r"^\./sub/data\.csv has"):
        check_folder(folder)


@each_case(
    "text",
    ["nonsense", f"{'0' * 64}  ../secret", f"{'0' * 64}  /etc/passwd", f"{'0' * 63}  x", f"SHA256 (x) = {'0' * 64}"],
    ids=["text", "parent", "absolute", "short", "other format"],
)
def test_malformed_line_is_an_error(folder: Path, text: str) -> None:
    (folder / "model.sha256").write_text(f"{_line(folder / 'custom.py')}{text}\n")
    with pytest.raises(ChecksumError, match=r"^model\.sha256, line 2: it must hold"):
        check_folder(folder)


def test_empty_list_is_an_error(folder: Path) -> None:
    (folder / "model.sha256").write_text("\n")
    with pytest.raises(ChecksumError, match="lists no files"):
        check_folder(folder)


def test_windows_line_ends_and_upper_case_are_understood(folder: Path) -> None:
    text = (folder / "model.sha256").read_text().upper().replace("MODEL.PKL", "model.pkl")
    (folder / "model.sha256").write_text(text.replace("CUSTOM.PY", "custom.py").replace("\n", "\r\n"))
    check_folder(folder)


def test_extension_of_a_changed_folder_is_rejected(folder: Path) -> None:
    (folder / "custom_flask.py").write_text("def init_app(app): pass")
    reject_changed_extension(folder)
    (folder / "custom.py").write_text("changed")
    with pytest.raises(ExtensionError, match=r"The extension is not loaded\. custom\.py has another"):
        reject_changed_extension(folder)
    (folder / "custom_flask.py").unlink()
    reject_changed_extension(folder)
