"""A framework of another package, found by its entry point."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from datarobot_drum.drum.artifact_predictors.plugins import plugin_predictors
from datarobot_drum.drum.artifact_predictors.registry import framework_name, is_thread_safe, list_artifacts
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.language_predictors.factory import create_predictor
from tests.language_predictors.builders import model_settings
from tests.processes import RunningServer, clean_environment

PLUGIN = """
from datarobot_drum.drum.artifact_predictors.base import ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.features import to_matrix
from datarobot_drum.drum.artifact_predictors.class_columns import bind_numbers


class Line:
    def __init__(self, slope):
        self.slope = slope


class LinePredictor(ArtifactPredictor):
    name = "line"
    extensions = (".line",)
    thread_safe = False

    def load(self, path, custom=None):
        return Line(float(path.read_text()))

    def accepts(self, model):
        return isinstance(model, Line)

    def bind(self, model, settings):
        return bind_numbers(lambda data: to_matrix(data, float)[:, 0] * model.slope, settings)
"""


def install_package(folder: Path, *entries: str, source: str = PLUGIN) -> Path:
    """Write a package as an installer does."""
    (folder / "lines.py").write_text(source, encoding="utf-8")
    info = folder / "lines-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lines\nVersion: 1.0\n", encoding="utf-8")
    listed = "\n".join(["[datarobot_drum.artifact_predictors]", *entries, ""])
    (info / "entry_points.txt").write_text(listed, encoding="utf-8")
    return folder


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of packages that is importable during the test."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    plugin_predictors.cache_clear()
    yield folder
    plugin_predictors.cache_clear()
    sys.modules.pop("lines", None)


def model_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.line").write_text("2.5", encoding="utf-8")
    return folder


def test_plugin_precedes_built_in_frameworks(tmp_path: Path, packages: Path) -> None:
    install_package(packages, "line = lines:LinePredictor")
    folder = model_folder(tmp_path)
    (path,) = list_artifacts(folder)
    assert (framework_name(path), is_thread_safe(path)) == ("line", False)


def test_plugin_predicts_with_a_model_from_load_model(tmp_path: Path, packages: Path) -> None:
    install_package(packages, "line = lines:LinePredictor")
    folder = tmp_path / "model"
    folder.mkdir()
    source = "import lines\ndef load_model(code_dir):\n    return lines.Line(2.0)\n"
    (folder / "custom.py").write_text(source, encoding="utf-8")
    predictor = create_predictor(model_settings(folder))
    predictor.load()
    predictor.close()
    assert predictor.name == "line"


@pytest.mark.parametrize(
    ("entry", "source", "message"),
    [
        pytest.param("lines:Missing", PLUGIN, "AttributeError", id="no class"),
        pytest.param("lines:Line", "Line = dict\n", "it is no ArtifactPredictor", id="other class"),
        pytest.param("lines:Line", "import nowhere\n", "No module named 'nowhere'", id="broken module"),
    ],
)
def test_broken_plugin_is_skipped_with_a_warning(
    tmp_path: Path, packages: Path, caplog: pytest.LogCaptureFixture, entry: str, source: str, message: str
) -> None:
    install_package(packages, f"line = {entry}", source=source)
    assert list_artifacts(model_folder(tmp_path)) == ()
    assert f"The plug-in line ({entry}) is left out: " in caplog.text
    assert message in caplog.text


def test_file_of_a_missing_plugin_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"There is no model in .*\.pkl, .*\.onnx, .*\.json"):
        create_predictor(model_settings(model_folder(tmp_path)))


@pytest.mark.process
def test_server_predicts_with_a_plugin(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    install_package(packages, "line = lines:LinePredictor")
    paths = [str(packages), *filter(None, [clean_environment().get("PYTHONPATH")])]
    environment = {"DRUM_SERVER_TYPE": "fastapi", "DRUM_LAME_DUCK_SECONDS": "0", "PYTHONPATH": ":".join(paths)}
    arguments = ("--code-dir", model_folder(tmp_path), "--target-type", "regression")
    with RunningServer(*arguments, log=tmp_path / "log", environment=environment) as server:
        assert server.client.post("/predict/", content="x\n2\n4\n").json() == {"predictions": [5.0, 10.0]}
        assert server.client.get("/info/").json()["predictor"] == "line"
        assert server.client.get("/stats/").json()["executor_workers"] == 1
