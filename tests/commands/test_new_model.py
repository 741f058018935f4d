"""``drum new model``: the written model runs, its tests pass, and no file is overwritten."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from datarobot_drum.drum.cli import parse_arguments
from datarobot_drum.drum.commands.loaded_model import loaded_model
from datarobot_drum.drum.commands.new_model.command import write_model
from datarobot_drum.drum.exceptions import CommandError, UsageError
from datarobot_drum.drum.settings.build import build_model_settings
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from tests.cli.commands import drum
from tests.processes import clean_environment

pytestmark = pytest.mark.usefixtures("clean_environment")

STRUCTURED = [kind.value for kind in TargetType if kind.is_structured]


def _make(folder: Path, *words: str) -> Path:
    assert write_model(parse_arguments(["new", "model", "--code-dir", str(folder), *words])) == 0
    return folder


@pytest.mark.parametrize("target_type", STRUCTURED)
def test_new_model_of_each_target_type_predicts_its_sample(tmp_path: Path, target_type: str) -> None:
    folder = _make(tmp_path / 'my "first" model', "--target-type", target_type)
    model = build_model_settings(parse_arguments(["score", "--code-dir", str(folder)]))
    assert model.target_type.value == target_type
    assert (model.metadata or {})["name"] == folder.name
    with loaded_model(model) as predictor, (folder / "sample.csv").open("rb") as sample:
        predictions = predictor.predict(predictor.read_input(StructuredPayload(sample, PayloadFormat.CSV)))
    rows = (folder / "sample.csv").read_text().splitlines()[1:]
    assert len(rows) == len(predictions.values) > 2
    assert len({str(row) for row in predictions.values.tolist()}) > 1


@pytest.mark.process
def test_tests_of_new_model_pass_on_its_server_type(tmp_path: Path) -> None:
    servers = {"transform": "flask", "unstructured": "gunicorn", "textgeneration": "fastapi"}
    for target_type, server in servers.items():
        _make(tmp_path / target_type, "--target-type", target_type, "--server", server)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    environment = clean_environment() | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # they take longer to load than the tests to run
    }
    runs = [
        subprocess.Popen(
            command,
            cwd=tmp_path / target_type,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for target_type in servers
    ]
    for run in runs:
        output, _ = run.communicate(timeout=120)
        assert run.returncode == 0, output
        assert " passed" in output


@pytest.mark.process
def test_new_model_lists_files_and_overwrites_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    first = drum("new", "model", "--code-dir", folder, environment={"DRUM_SERVER_TYPE": "uvicorn"})
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith(f"Wrote a model of target type regression to {folder}:\n  README.md\n  custom.py\n")
    assert (folder / "parameters.yaml").read_text().endswith("\nDRUM_SERVER_TYPE: fastapi\n")
    (folder / "custom.py").write_text("mine")
    second = drum("new", "model", "--code-dir", folder, "--target-type", "binary")
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr.startswith(f"drum: error: {folder} holds README.md, custom.py,")
    assert (folder / "custom.py").read_text() == "mine"


@pytest.mark.process
def test_new_transform_model_passes_score_and_validation(tmp_path: Path) -> None:
    folder = _make(tmp_path / "model", "--target-type", "transform")
    scored = drum("score", "--code-dir", folder, "--input", folder / "sample.csv")
    assert (scored.returncode, scored.stderr) == (0, "")
    assert scored.stdout.startswith("area,rooms,age\n-0.7666666666666667,-0.6666666666666666,0.3\n")
    checked = drum("validation", "--code-dir", folder, "--input", folder / "sample.csv")
    assert (checked.returncode, "FAILED" in checked.stdout) == (0, False)


def test_new_model_writes_nothing_if_a_file_exists(tmp_path: Path) -> None:
    (tmp_path / "weights.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("stays")
    with pytest.raises(CommandError, match=r"holds weights\.json already, and nothing is overwritten"):
        _make(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["notes.txt", "weights.json"]
    (tmp_path / "weights.json").unlink()
    assert json.loads((_make(tmp_path) / "weights.json").read_text())


def test_new_model_rejects_other_languages(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="a template for python only, not for r"):
        _make(tmp_path / "model", "--language", "r")
    assert not (tmp_path / "model").exists()


def test_new_model_requires_code_dir() -> None:
    with pytest.raises(UsageError, match=r"The folder .*is missing"):
        write_model(parse_arguments(["new", "model"]))


@pytest.mark.parametrize("server", ["flask", "fastapi"])
@pytest.mark.parametrize("target_type", [kind.value for kind in TargetType])
def test_templates_leave_no_placeholder(tmp_path: Path, target_type: str, server: str) -> None:
    folder = _make(tmp_path / "model", "--target-type", target_type, "--server", server)
    texts = {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert not [name for name, text in texts.items() if "$" in text]
    assert f"custom_{server}.py" in texts["README.md"]
