"""``requirements.txt`` of a model folder: compared with the installed packages, and named if a module is missing."""

import logging
from importlib.metadata import version
from pathlib import Path

import pytest

from datarobot_drum.drum.artifact_predictors.requirements_file import (
    missing_module_hint,
    read_requirements,
    warn_about_other_versions,
)
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.language_predictors.factory import create_predictor
from tests.cases import each_case
from tests.cli.commands import drum
from tests.language_predictors.builders import model_settings, write_model

NUMPY, PANDAS, SKLEARN = version("numpy"), version("pandas"), version("scikit-learn")
SCORE = "import pandas as pd\ndef score(data, model): return pd.DataFrame({'Predictions': [1.0] * len(data)})\n"


def write_requirements(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    (folder / "requirements.txt").write_bytes(text.encode(encoding))
    return folder


@each_case(
    "line",
    [
        f"numpy=={NUMPY}",
        "NumPy >= 1.0, < 99  # a comment",
        "numpy",
        "scikit_learn~=1.0",
        f"xgboost=={version('xgboost-cpu')}",
        "lightgbm[pandas]>=1",
        'pywin32==1; sys_platform == "win32"',
        "-r base.txt",
        "--extra-index-url https://example.org/simple",
        "https://example.org/package.whl",
        "./wheels/package.whl",
        "",
    ],
)
def test_requirement_that_is_met_or_no_requirement_is_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, line: str
) -> None:
    warn_about_other_versions(write_requirements(tmp_path, f"{line}\n"))
    assert caplog.messages == []


def test_one_warning_lists_all_other_versions(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = f"""
    numpy==1.19.5 \\
        --hash=sha256:00
    pandas<1  # old
    scikit-learn=={SKLEARN}
    xgboost>99
    no-such-package>=2
    """
    warn_about_other_versions(write_requirements(tmp_path, text))
    (message,) = caplog.messages
    assert message == (
        f"requirements.txt names other versions than are installed: numpy==1.19.5 ({NUMPY} is installed), pandas<1 "
        f"({PANDAS} is installed), xgboost>99 ({version('xgboost-cpu')} is installed), no-such-package>=2 (not "
        "installed). The model may fail or predict otherwise than where it was trained: install them (pip install -r "
        "requirements.txt), or correct the file."
    )


def test_long_list_is_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    warn_about_other_versions(write_requirements(tmp_path, "\n".join(f"absent-{number}" for number in range(13))))
    (message,) = caplog.messages
    assert "absent-9 (not installed) and 3 more. " in message


@each_case("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_file_of_any_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    write_requirements(tmp_path, "numpy==1\r\npandas==2\r\n", encoding)
    assert [str(requirement) for requirement in read_requirements(tmp_path)] == ["numpy==1", "pandas==2"]


def test_undecodable_file_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes(b"numpy\xff\xfe\x00==1")
    assert read_requirements(tmp_path) == []


@each_case(
    ("text", "module", "hint"),
    [
        pytest.param(
            "foo>=1\n", "foo.bar", " requirements.txt lists it (foo>=1): pip install -r requirements.txt.", id="yes"
        ),
        pytest.param(
            "opencv-python-headless\n", "cv2", " requirements.txt lists it (opencv-python-headless): ", id="variant"
        ),
        pytest.param(
            "scikit_image==1\n", "skimage.io", " requirements.txt lists it (scikit_image==1): ", id="other name"
        ),
        pytest.param("numpy\n", "foo", " requirements.txt does not list it.", id="no"),
        pytest.param("", "foo", " requirements.txt does not list it.", id="empty"),
    ],
)
def test_missing_module_is_looked_up(tmp_path: Path, text: str, module: str, hint: str) -> None:
    assert missing_module_hint(module, write_requirements(tmp_path, text)).startswith(hint)


def test_folder_without_the_file_has_no_hint(tmp_path: Path) -> None:
    assert missing_module_hint("foo", tmp_path) == ""
    warn_about_other_versions(tmp_path)


def load_error(folder: Path) -> str:
    predictor = create_predictor(model_settings(folder))
    with pytest.raises(ModelLoadError) as error:
        predictor.load()
    predictor.close()
    return str(error.value)


def test_custom_code_that_lacks_a_module_names_the_file(tmp_path: Path) -> None:
    write_model(tmp_path, custom="import absent_module\n")
    write_requirements(tmp_path, "absent-module==1\n")
    assert load_error(tmp_path).endswith(
        " requirements.txt lists it (absent-module==1): pip install -r requirements.txt."
    )


def test_pickle_that_lacks_a_module_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"\x80\x02cabsent_module.part\nModel\n.")
    write_requirements(tmp_path, "numpy\n")
    assert load_error(tmp_path) == (
        "model.pkl could not be loaded: it needs the module absent_module, which is not installed. "
        "requirements.txt does not list it."
    )


@each_case("text", [f"numpy=={NUMPY}\n", "numpy==1.0\n"], ids=["same", "other"])
def test_versions_are_compared_at_load(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    write_model(tmp_path, custom=SCORE)
    write_requirements(tmp_path, text)
    predictor = create_predictor(model_settings(tmp_path))
    with caplog.at_level(logging.WARNING):
        predictor.load()
    predictor.close()
    assert len(caplog.messages) == (text == "numpy==1.0\n")


@pytest.mark.process
def test_command_warns_of_other_versions(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", custom=SCORE)
    write_requirements(folder, "numpy==1.0\n")
    (tmp_path / "rows.csv").write_text("a\n1\n")
    finished = drum("score", "--code-dir", folder, "--target-type", "regression", "--input", tmp_path / "rows.csv")
    assert finished.returncode == 0, finished.stderr
    assert f"installed: numpy==1.0 ({NUMPY} is installed)." in finished.stderr
