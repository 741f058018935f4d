"""Each setting knows the source that it was taken from; of several errors all are kept."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datarobot_drum.drum.settings.arguments import Arguments, merge_environment
from datarobot_drum.drum.settings.build import Settings, draft_settings
from datarobot_drum.drum.settings.build_record import BuildRecord
from datarobot_drum.drum.settings.declaration import CONFIG, SERVE, SERVER
from datarobot_drum.drum.settings.effective import effective_settings, model_parameters, without_effect
from datarobot_drum.runtime_parameters.origins import DEFAULT, Origin, Source
from tests.cases import each_case
from tests.settings.building import build, set_parameter, write_metadata

pytestmark = pytest.mark.usefixtures("clean_environment")

THREADS = "DRUM_EXECUTOR_WORKERS"


def _shown(settings: Settings) -> dict[str, tuple[Any, str, str]]:
    return {setting.name: (setting.value, *setting.origin) for setting in effective_settings(settings)}


def _from_command_line(
    folder: Path,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    command: str = SERVER,
) -> Settings:
    given = {"code_dir": str(folder), "address": ":8080", "target_type": "regression", **(flags or {})}
    given = {name: value for name, value in given.items() if value is not None}
    return draft_settings(merge_environment(command, given, environ or {}), BuildRecord())


def test_an_argument_comes_from_its_flag_or_its_variable(tmp_path: Path) -> None:
    environ = {"TARGET_TYPE": "anomaly", "MAX_WORKERS": "2"}
    shown = _shown(_from_command_line(tmp_path, {"target_type": None}, environ))
    assert shown["--code-dir"] == (str(tmp_path), "flag", "--code-dir")
    assert shown["--target-type"] == ("anomaly", "variable", "TARGET_TYPE")
    assert shown["--language"] == (None, "default", "")


def test_an_argument_comes_from_the_platform_below_variables(tmp_path: Path) -> None:
    flags = {"address": None}
    shown = _shown(_from_command_line(tmp_path, flags, {"PORT": "9000"}))
    assert shown["--address"] == ("0.0.0.0:9000", "platform", "PORT")
    shown = _shown(_from_command_line(tmp_path, flags, {"PORT": "9000", "ADDRESS": ":7000"}))
    assert shown["--address"] == ("0.0.0.0:7000", "variable", "ADDRESS")
    shown = _shown(_from_command_line(tmp_path, flags, command=SERVE))
    assert shown["--address"] == ("0.0.0.0:8080", "default", "")


def test_a_parameter_comes_from_the_first_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_SERVER_TYPE", "fastapi")
    assert _shown(build(tmp_path))[THREADS] == (4, "default", "")
    definition = f"{{fieldName: {THREADS}, type: numeric, defaultValue: 5}}"
    write_metadata(tmp_path, f"runtimeParameterDefinitions: [{definition}]\n")
    assert _shown(build(tmp_path))[THREADS] == (5, "model-metadata.yaml", "runtimeParameterDefinitions")
    monkeypatch.setenv(THREADS, "6")
    assert _shown(build(tmp_path))[THREADS] == (6, "variable", THREADS)
    file = tmp_path / "values.yaml"
    file.write_text(f"{THREADS}: 7\n", encoding="utf-8")
    from_file = build(tmp_path, runtime_params_file=str(file))
    assert _shown(from_file)[THREADS] == (7, "runtime-params-file", THREADS)
    set_parameter(monkeypatch, THREADS, "numeric", 8)
    from_prefixed = build(tmp_path, runtime_params_file=str(file))
    assert _shown(from_prefixed)[THREADS] == (8, "variable", f"MLOPS_RUNTIME_PARAM_{THREADS}")


def test_an_alias_is_named_as_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_FASTAPI_UPLOAD_TIMEOUT", "7")
    assert _shown(build(tmp_path))["DRUM_UPLOAD_TIMEOUT"] == (7.0, "variable", "DRUM_FASTAPI_UPLOAD_TIMEOUT")


def test_a_parameter_comes_from_the_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6")
    assert _shown(build(tmp_path))["DRUM_MAX_UPLOAD_SIZE"] == (
        6 * 1024 * 1024,
        "platform",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB",
    )


@each_case(
    "max_workers, variables, expected",
    [
        (3, {"CUSTOM_MODEL_WORKERS": "2"}, (3, "flag", "--max-workers")),
        (None, {"CUSTOM_MODEL_WORKERS": "2"}, (2, "variable", "CUSTOM_MODEL_WORKERS")),
        (None, {"UVICORN_WORKERS": "4"}, (4, "variable", "UVICORN_WORKERS")),
        (None, {}, (1, "default", "")),
    ],
)
def test_the_number_of_workers_names_what_decides_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_workers: int | None, variables: dict[str, str], expected: Any
) -> None:
    for name, value in {"DRUM_SERVER_TYPE": "fastapi", **variables}.items():
        monkeypatch.setenv(name, value)
    assert _shown(build(tmp_path, max_workers=max_workers))["CUSTOM_MODEL_WORKERS"] == expected


def test_labels_and_names_come_from_metadata_where_no_argument_has_them(tmp_path: Path) -> None:
    write_metadata(
        tmp_path, "targetType: binary\ntargetName: t\npositiveClassLabel: yes\nnegativeClassLabel: no\nname: churn\n"
    )
    shown = _shown(build(tmp_path, target_type=None, positive_class_label="1"))
    assert shown["--target-type"] == ("binary", "model-metadata.yaml", "targetType")
    assert shown["--positive-class-label"] == ("1", "flag", "--positive-class-label")
    assert shown["--negative-class-label"] == ("no", "model-metadata.yaml", "negativeClassLabel")
    assert shown["TARGET_NAME"] == ("t", "model-metadata.yaml", "targetName")
    assert shown["name"] == ("churn", "model-metadata.yaml", "name")
    assert shown["version"] == ("1", "default", "")


def test_the_log_level_of_verbose_names_verbose(tmp_path: Path) -> None:
    assert _shown(build(tmp_path, verbose=True))["--logging-level"] == ("debug", "flag", "--verbose")


def test_each_model_of_a_routed_set_has_its_own_settings(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    entries = "{name: a, path: a, targetType: regression}, {name: b, path: b}"
    write_metadata(tmp_path, f"models: [{entries}]\ntargetType: anomaly\n")
    shown = _shown(build(tmp_path, target_type=None))
    assert shown["models.a.--target-type"] == ("regression", "model-metadata.yaml", "targetType")
    assert shown["models.b.--target-type"] == ("anomaly", "model-metadata.yaml", "targetType")


def test_origins_reach_worker_processes(tmp_path: Path) -> None:
    arguments = merge_environment(SERVER, {"code_dir": str(tmp_path)}, {"TARGET_TYPE": "anomaly", "PORT": "1"})
    copy = Arguments.from_json(arguments.to_json())
    assert copy.origins == arguments.origins
    assert copy.origin_of("target_type") == Origin(Source.VARIABLE, "TARGET_TYPE")
    assert copy.origin_of("address") == Origin(Source.PLATFORM, "PORT")
    assert copy.origin_of("max_workers") == DEFAULT


def test_secrets_are_masked_whatever_their_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_API_KEYS", "0123456789abcdef")
    set_parameter(monkeypatch, "PIN_TOKEN", "string", "42")
    set_parameter(
        monkeypatch, "LOGIN", "credential", {"credentialType": "basic", "user": "ann", "password": "7", "x": {"y": "8"}}
    )
    settings = build(tmp_path, api_token="ab", webserver="https://ann:pw@host")
    shown = {setting.name: setting for setting in effective_settings(settings)}
    assert (shown["--api-token"].value, shown["--api-token"].is_secret) == ("****", True)
    assert (shown["DRUM_API_KEYS"].value, shown["DRUM_API_KEYS"].origin.name) == ("****", "DRUM_API_KEYS")
    assert shown["--webserver"].value == "https://ann:****@host"
    own = {setting.name: setting.value for setting in model_parameters(settings)}
    assert own == {
        "LOGIN": {"credentialType": "basic", "user": "ann", "password": "****", "x": "****"},
        "PIN_TOKEN": "****",
    }


def test_parameters_that_the_server_type_does_not_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRUM_GUNICORN_THREADS", "2")
    monkeypatch.setenv("DRUM_FASTAPI_EXECUTOR_WORKERS", "2")
    monkeypatch.setenv("DRUM_UPLOAD_TIMEOUT", "2")
    found = list(without_effect(build(tmp_path)))
    assert [sentence.partition(" ")[0] for sentence in found] == [
        "DRUM_FASTAPI_EXECUTOR_WORKERS",
        "DRUM_GUNICORN_THREADS",
    ]
    assert "the flask server does not read it, only gunicorn" in found[1]


def test_a_record_collects_the_errors_of_all_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_metadata(
        tmp_path, "targetType: textgeneration\nruntimeParameterDefinitions: [{fieldName: A, type: numeric}]\n"
    )
    monkeypatch.setenv("DRUM_WORKER_TIMEOUT", "soon")
    monkeypatch.setenv("DRUM_RATE_LIMIT", "often")
    monkeypatch.setenv("URL_PREFIX", "/a b")
    set_parameter(monkeypatch, "A", "string", "x")
    monkeypatch.setenv("MLOPS_RUNTIME_PARAM_B", "{")
    variables = {"MAX_WORKERS": "many", "LOGGING_LEVEL": "loud"}
    arguments = merge_environment(CONFIG, {"code_dir": str(tmp_path), "address": "nowhere:x"}, variables)
    record = BuildRecord(collects=True)
    settings = draft_settings(arguments, record)
    text = "\n".join((*arguments.errors.values(), *map(str, record.errors)))
    for name in ("MAX_WORKERS", "LOGGING_LEVEL", "nowhere:x", "TARGET_NAME", "DRUM_WORKER_TIMEOUT", "DRUM_RATE_LIMIT"):
        assert text.count(name) == 1, text
    assert "parameter A" in text and "parameter B" in text and "URL_PREFIX" in text
    assert len(record.errors) == 7
    assert [str(error).partition(" ")[0] for error in record.fatal_errors] == ["The", "Runtime"]
    assert settings.server.worker_timeout == 60  # the default


def test_the_errors_of_routed_models_name_their_model(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    write_metadata(tmp_path, "models: [{name: a, path: a}, {name: b, path: b, targetType: textgeneration}]\n")
    record = BuildRecord(collects=True)
    draft_settings(Arguments(code_dir=str(tmp_path), address=":1"), record)
    assert [str(error)[:13] for error in record.errors] == ["The model 'a'", "The model 'b'"]


def test_malformed_definitions_are_the_only_errors_about_them(tmp_path: Path) -> None:
    write_metadata(tmp_path, "runtimeParameterDefinitions: [{type: numeric}, {fieldName: B, type: text}]\n")
    (tmp_path / "values.yaml").write_text("A: 1\n", encoding="utf-8")
    record = BuildRecord(collects=True)
    arguments = Arguments(code_dir=str(tmp_path), address=":1", target_type="anomaly")
    arguments = replace(arguments, runtime_params_file=str(tmp_path / "values.yaml"))
    draft_settings(arguments, record)
    assert len(record.errors) == len(record.model_errors) == 2  # one of each entry, and none of the file
