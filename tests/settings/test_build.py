"""Settings are built from arguments, variables, runtime parameters and model-metadata.yaml."""

import os
from pathlib import Path
from typing import Any

import pytest

from datarobot_drum import RuntimeParameters
from datarobot_drum.drum.exceptions import RuntimeParameterError, SettingsErrors, StartupError, UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import (
    build_model_settings,
    export_arguments,
    settings_from_environment,
)
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.runtime_parameters import mask_secrets
from tests.cases import each_case
from tests.settings.building import build, set_parameter, write_metadata

pytestmark = pytest.mark.usefixtures("clean_environment")


def _build_model(code_dir: Path, **values: Any) -> Any:
    return build_model_settings(Arguments(**{"code_dir": str(code_dir), "target_type": "regression", **values}))


def test_required_arguments_suffice(tmp_path: Path) -> None:
    settings = build(tmp_path)
    assert settings.model.code_dir == tmp_path
    assert settings.model.target_type is TargetType.REGRESSION
    assert settings.model.metadata is None
    assert (settings.host, settings.port, settings.url_prefix) == ("localhost", 8080, "")
    assert (settings.workers, settings.logging_level) == (1, "info")
    assert settings.server.server_type == "flask"


@each_case(
    ("missing", "complaint"),
    [
        ("code_dir", "The folder of the model is missing: give it as an argument, --code-dir or CODE_DIR."),
        ("target_type", "--target-type is missing"),
    ],
)
def test_missing_argument_raises_usage_error(tmp_path: Path, missing: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        build(tmp_path, **{missing: None})
    assert caught.value.exit_code == 2


def test_without_an_address_only_this_machine_can_connect(tmp_path: Path) -> None:
    settings = build(tmp_path, address=None)
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)


def test_all_errors_are_raised_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_WORKER_TIMEOUT", "soon")
    with pytest.raises(SettingsErrors) as caught:
        build(tmp_path, address="nowhere:x", target_type=None)
    assert [type(error) for error in caught.value.errors] == [UsageError, UsageError, RuntimeParameterError]
    assert caught.value.exit_code == 2
    monkeypatch.delenv("DRUM_WORKER_TIMEOUT")
    with pytest.raises(UsageError, match="nowhere:x"):  # a single one keeps its type
        build(tmp_path, address="nowhere:x")


@each_case("name", ["absent", "file"])
def test_code_dir_must_be_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=f"{name} is not a folder"):
        build(tmp_path / name)


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "labels.txt").write_text("a\nb\n")
    monkeypatch.chdir(tmp_path)
    settings = build(Path("model"), target_type="multiclass", class_labels_file="labels.txt")
    assert settings.model.code_dir == tmp_path / "model"
    assert settings.arguments["class_labels_file"] == str(tmp_path / "labels.txt")


def test_target_type_argument_overrides_metadata(tmp_path: Path) -> None:
    write_metadata(tmp_path, "targetType: Anomaly\n")
    assert build(tmp_path, target_type=None).model.target_type is TargetType.ANOMALY
    assert build(tmp_path, target_type="regression").model.target_type is TargetType.REGRESSION


@each_case(
    ("text", "complaint"),
    [
        ("targetType: clustering", "'clustering' in model-metadata.yaml is not one of"),
        ("targetType: [a]", "targetType in model-metadata.yaml must be text"),
        ("a: [", "is not valid YAML"),
        ("- a", "must hold a mapping"),
    ],
)
def test_unusable_metadata_raises_startup_error(tmp_path: Path, text: str, complaint: str) -> None:
    write_metadata(tmp_path, text)
    with pytest.raises(StartupError, match=complaint) as caught:
        build(tmp_path, target_type=None)
    assert caught.value.exit_code == 1


def test_what_an_unreadable_file_may_state_is_not_reported_as_missing(tmp_path: Path) -> None:
    write_metadata(tmp_path, "a: [")
    with pytest.raises(StartupError) as caught:
        build(tmp_path, target_type=None)
    assert "is not valid YAML" in str(caught.value) and "--target-type" not in str(caught.value)


def test_metadata_holds_json_values(tmp_path: Path) -> None:
    write_metadata(tmp_path, "name: x\nmade: 2024-01-01\n1: [true, 0.5, null]\nset: !!set {a}\n")
    expected = {"name": "x", "made": "2024-01-01", "1": [True, 0.5, None], "set": ["a"]}
    assert build(tmp_path).model.metadata == expected


def test_empty_metadata_is_an_empty_mapping(tmp_path: Path) -> None:
    write_metadata(tmp_path, "")
    assert build(tmp_path).model.metadata == {}


@each_case("kind", ["textgeneration", "agenticworkflow", "vectordatabase", "geopoint"])
def test_target_type_with_target_column_requires_target_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with pytest.raises(UsageError, match=f"A {kind} model needs the name of its target"):
        build(tmp_path, target_type=kind)
    write_metadata(tmp_path, "inferenceModel:\n  targetName: answer\n")
    assert build(tmp_path, target_type=kind).model.target_name == "answer"
    monkeypatch.setenv("TARGET_NAME", "reply")
    assert build(tmp_path, target_type=kind).model.target_name == "reply"


def test_production_flag_logs_deprecation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert build(tmp_path, production=True).production
    assert "--production is deprecated: give --max-workers instead." in caplog.text


@each_case(
    ("values", "level"),
    [({}, "info"), ({"verbose": True}, "debug"), ({"verbose": True, "logging_level": "error"}, "error")],
    ids=["default", "verbose", "both"],
)
def test_logging_level_depends_on_flags(tmp_path: Path, values: dict[str, Any], level: str) -> None:
    assert build(tmp_path, **values).logging_level == level


def test_build_settings_installs_runtime_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_metadata(
        tmp_path,
        "runtimeParameterDefinitions:\n"
        "- {fieldName: RATE, type: numeric, defaultValue: 0.5}\n"
        "- {fieldName: KEY, type: credential}\n"
        "- {fieldName: NONE, type: string}\n",
    )
    path = tmp_path / "p.yaml"
    path.write_text("KEY: {credentialType: api_token, apiToken: t0ken-1}\n")
    build(tmp_path, runtime_params_file=str(path))
    assert RuntimeParameters.get("RATE") == 0.5
    assert RuntimeParameters.get("KEY") == {"credentialType": "api_token", "apiToken": "t0ken-1"}
    assert not RuntimeParameters.has("NONE")
    assert mask_secrets("t0ken-1") == "****"


def test_api_token_is_masked(tmp_path: Path) -> None:
    settings = build(tmp_path, api_token="t0ken-2")
    assert mask_secrets("token t0ken-2") == "token ****"
    assert "t0ken-2" not in repr(settings)


@each_case(
    ("variable", "text", "name"),
    [
        ("MLOPS_RUNTIME_PARAM_RATE", "not json", "RATE"),
        ("MLOPS_RUNTIME_PARAM_RATE", '{"type": "numeric", "payload": 11}', "RATE"),
        ("MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE", "not json", "DRUM_SERVER_TYPE"),
        ("DRUM_EXECUTOR_WORKERS", "many", "DRUM_EXECUTOR_WORKERS"),
        ("UVICORN_WORKERS", "many", "UVICORN_WORKERS"),
    ],
)
def test_invalid_parameter_raises_or_is_kept_for_error_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, name: str
) -> None:
    definition = "{fieldName: RATE, type: numeric, maxValue: 10}"
    write_metadata(tmp_path, f"runtimeParameterDefinitions: [{definition}]")
    monkeypatch.setenv("DRUM_SERVER_TYPE", "fastapi")
    monkeypatch.setenv(variable, text)
    with pytest.raises(RuntimeParameterError, match=f"Runtime parameter {name} "):
        build(tmp_path)
    settings = build(tmp_path, with_error_server=True)
    assert isinstance(settings.parameter_error, RuntimeParameterError)
    assert settings.workers == 1


@each_case(
    "text",
    ["runtimeParameterDefinitions: 5", "runtimeParameterDefinitions: [{fieldName: A}]"],
    ids=["no list", "no type"],
)
def test_invalid_definitions_raise_parameter_error(tmp_path: Path, text: str) -> None:
    write_metadata(tmp_path, text)
    with pytest.raises(RuntimeParameterError):
        build(tmp_path)


def test_worker_process_gets_equal_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    settings = build(Path("model"), target_type="multiclass", class_labels=("a", "b"), max_workers=2)
    for name, text in export_arguments(settings).items():
        monkeypatch.setenv(name, text)
    monkeypatch.chdir("/")
    assert settings_from_environment() == settings


def test_external_launch_needs_only_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_DIR", os.fspath(tmp_path))
    monkeypatch.setenv("TARGET_TYPE", "regression")
    assert settings_from_environment().model.code_dir == tmp_path


def test_model_settings_need_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_EXECUTOR_WORKERS", "no number, and of no interest")
    write_metadata(
        tmp_path, "runtimeParameterDefinitions:\n- {fieldName: threshold, type: numeric, defaultValue: 0.5}\n"
    )
    assert _build_model(tmp_path) == _build_model(tmp_path, command="score", address="not:an:address")
    assert RuntimeParameters.get("threshold") == 0.5


def test_invalid_model_parameter_raises_for_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_metadata(tmp_path, "runtimeParameterDefinitions:\n- {fieldName: threshold, type: numeric, maxValue: 1}\n")
    set_parameter(monkeypatch, "threshold", "numeric", 7)
    with pytest.raises(RuntimeParameterError, match="threshold"):
        _build_model(tmp_path)
