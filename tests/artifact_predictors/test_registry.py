"""Artifact search, and the table of frameworks."""

import subprocess
import sys
from pathlib import Path

import pytest

from datarobot_drum.drum.artifact_predictors.frameworks import FRAMEWORKS, Framework
from datarobot_drum.drum.artifact_predictors.registry import (
    find_predictor,
    list_artifacts,
    load_artifact,
    require_single_artifact,
)
from datarobot_drum.drum.exceptions import ModelLoadError
from tests.cases import each_case


@pytest.mark.filterwarnings("ignore:.*Any type hint:UserWarning")  # MLflow warns of its own types when imported
@each_case("framework", FRAMEWORKS, ids=lambda framework: framework.name)
def test_framework_table_agrees_with_the_predictor(framework: Framework) -> None:
    pytest.importorskip(framework.modules[0], reason=f"needs datarobot-drum[{framework.extra}]")
    predictor = framework.create_predictor()
    assert (predictor.name, predictor.extensions) == (framework.name, framework.extensions)
    assert predictor.thread_safe == framework.thread_safe


@each_case("framework", FRAMEWORKS[:-1], ids=lambda framework: framework.name)
def test_missing_framework_error_names_its_extra(framework: Framework, monkeypatch: pytest.MonkeyPatch) -> None:
    module = framework.predictor.partition(":")[0]
    monkeypatch.delitem(sys.modules, module, raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] in framework.modules]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, framework.modules[0], None)
    with pytest.raises(ModelLoadError, match=rf"install datarobot-drum\[{framework.extra}\]\.$"):
        framework.create_predictor()
    monkeypatch.delitem(sys.modules, module, raising=False)


@each_case("name", ["model.pkl", "MODEL.PKL", "model.joblib", "my model.Pkl"])
def test_an_artifact_is_found_by_its_extension_in_any_case(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert require_single_artifact(list_artifacts(tmp_path)) == tmp_path / name


def test_hidden_and_nested_files_are_no_artifacts(tmp_path: Path) -> None:
    for name in ("sub/model.pkl", "folder.pkl/x", ".hidden.pkl", "model.pkl.bak", "pkl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert list_artifacts(tmp_path) == ()
    assert require_single_artifact(()) is None


def test_several_artifacts_are_named_in_the_error(tmp_path: Path) -> None:
    for name in ("b.pkl", "a.joblib"):
        (tmp_path / name).touch()
    with pytest.raises(ModelLoadError, match=r"a\.joblib, b\.pkl.*load_model"):
        require_single_artifact(list_artifacts(tmp_path))


def test_unknown_extension_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"model\.mojo is not an artifact of a known kind"):
        load_artifact(tmp_path / "model.mojo")


def test_no_framework_predicts_with_a_dict() -> None:
    assert find_predictor({"weights": 1}) is None


def test_an_unused_framework_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").touch()
    program = (
        "import sys; from pathlib import Path; from datarobot_drum.drum.artifact_predictors import registry;"
        "assert registry.list_artifacts(Path(sys.argv[1]));"
        "print(sorted({'sklearn', 'joblib', 'pandas', 'numpy', 'scipy'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"
