"""What a start is built from: arguments, variables, runtime parameters and model-metadata.yaml."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum import RuntimeParameters
from datarobot_drum.drum.exceptions import RuntimeParameterError, StartupError, UsageError
from datarobot_drum.drum.settings.address import normalize_prefix, parse_address
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import (
    Settings,
    build_model_settings,
    build_settings,
    export_arguments,
    settings_from_environment,
)
from datarobot_drum.drum.settings.server_parameters import markdown_table
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.runtime_parameters import mask_secrets

pytestmark = pytest.mark.usefixtures("clean_environment")


def _build(code_dir: Path, /, **values: Any) -> Settings:
    given_values = {
        "code_dir": str(code_dir),
        "target_type": "regression",
        "address": "localhost:8080",
        **values,
    }
    return build_settings(Arguments(**given_values))


def _metadata(code_dir: Path, text: str) -> None:
    (code_dir / "model-metadata.yaml").write_text(text, encoding="utf-8")


def _set_parameter(monkeypatch: pytest.MonkeyPatch, name: str, type_: str, payload: Any) -> None:
    monkeypatch.setenv(f"MLOPS_RUNTIME_PARAM_{name}", json.dumps({"type": type_, "payload": payload}))


def test_the_least_that_must_be_given(tmp_path: Path) -> None:
    settings = _build(tmp_path)
    assert settings.model.code_dir == tmp_path
    assert settings.model.target_type is TargetType.REGRESSION
    assert settings.model.metadata is None
    assert (settings.host, settings.port, settings.url_prefix) == ("localhost", 8080, "")
    assert (settings.workers, settings.logging_level) == (1, "info")
    assert settings.server.server_type == "flask"


@pytest.mark.parametrize(
    ("missing", "complaint"),
    [
        ("code_dir", "--code-dir is missing: give the flag or the variable CODE_DIR."),
        ("address", "--address is missing: give the flag or the variable ADDRESS."),
        ("target_type", "--target-type is missing"),
    ],
)
def test_what_is_missing_is_a_usage_error(tmp_path: Path, missing: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        _build(tmp_path, **{missing: None})
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["absent", "file"])
def test_the_code_dir_must_be_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=f"{name} is not a folder"):
        _build(tmp_path / name)


def test_relative_paths_belong_to_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "labels.txt").write_text("a\nb\n")
    monkeypatch.chdir(tmp_path)
    settings = _build(Path("model"), target_type="multiclass", class_labels_file="labels.txt")
    assert settings.model.code_dir == tmp_path / "model"
    assert settings.arguments["class_labels_file"] == str(tmp_path / "labels.txt")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("localhost:8080", ("localhost", 8080)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        (":8080", ("0.0.0.0", 8080)),
        ("8080", ("0.0.0.0", 8080)),
        ("[::1]:8080", ("::1", 8080)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
        ("host:0", ("host", 0)),
        (" host:65535 ", ("host", 65535)),
    ],
)
def test_an_address_is_read(address: str, expected: tuple[str, int]) -> None:
    assert parse_address(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host",
        "host:",
        "host:x",
        "host:65536",
        "host:-1",
        "::1",
        "::1:80",
        "[::1]",
        "http://host:80",
        "a b:80",
        "[]:80",
    ],
)
def test_what_is_no_address_is_a_usage_error(address: str) -> None:
    with pytest.raises(UsageError, match=r"host:port, :port, \[ipv6\]:port"):
        parse_address(address)


@given(st.text())
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    try:
        host, port = parse_address(text)
    except UsageError:
        return
    assert host
    assert 0 <= port <= 65535


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [("", ""), ("/", ""), ("a", "/a"), ("/a/b/", "/a/b"), ("//a///b//", "/a/b"), (" /a ", "/a")],
)
def test_a_prefix_begins_with_a_slash_and_ends_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str, expected: str
) -> None:
    monkeypatch.setenv("URL_PREFIX", prefix)
    assert _build(tmp_path).url_prefix == expected


@pytest.mark.parametrize("prefix", ["/a/../b", "/{x}", "/<x>", "/a b", "/a?b", "/a#b"])
def test_what_is_no_path_is_no_prefix(prefix: str) -> None:
    with pytest.raises(UsageError, match="URL_PREFIX"):
        normalize_prefix(prefix)


def test_the_target_type_of_the_metadata_counts_last(tmp_path: Path) -> None:
    _metadata(tmp_path, "targetType: Anomaly\n")
    assert _build(tmp_path, target_type=None).model.target_type is TargetType.ANOMALY
    assert _build(tmp_path, target_type="regression").model.target_type is TargetType.REGRESSION


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("targetType: clustering", "'clustering' in model-metadata.yaml is not one of"),
        ("targetType: [a]", "targetType in model-metadata.yaml must be text"),
        ("a: [", "is not valid YAML"),
        ("- a", "must hold a mapping"),
    ],
)
def test_unusable_metadata_is_a_start_up_error(tmp_path: Path, text: str, complaint: str) -> None:
    _metadata(tmp_path, text)
    with pytest.raises(StartupError, match=complaint) as caught:
        _build(tmp_path, target_type=None)
    assert caught.value.exit_code == 1


def test_metadata_is_kept_as_values_that_json_knows(tmp_path: Path) -> None:
    _metadata(tmp_path, "name: x\nmade: 2024-01-01\n1: [true, 0.5, null]\nset: !!set {a}\n")
    expected = {"name": "x", "made": "2024-01-01", "1": [True, 0.5, None], "set": ["a"]}
    assert _build(tmp_path).model.metadata == expected


def test_empty_metadata_is_an_empty_mapping(tmp_path: Path) -> None:
    _metadata(tmp_path, "")
    assert _build(tmp_path).model.metadata == {}


@pytest.mark.parametrize("kind", ["textgeneration", "agenticworkflow", "vectordatabase", "geopoint"])
def test_a_kind_with_a_target_column_needs_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    with pytest.raises(UsageError, match=f"A {kind} model needs the name of its target"):
        _build(tmp_path, target_type=kind)
    _metadata(tmp_path, "inferenceModel:\n  targetName: answer\n")
    assert _build(tmp_path, target_type=kind).model.target_name == "answer"
    monkeypatch.setenv("TARGET_NAME", "reply")
    assert _build(tmp_path, target_type=kind).model.target_name == "reply"


def test_binary_labels_come_from_the_arguments(tmp_path: Path) -> None:
    model = _build(tmp_path, target_type="binary", positive_class_label="1", negative_class_label="0").model
    assert (model.class_labels, model.positive_class_label, model.negative_class_label) == (
        ("0", "1"),
        "1",
        "0",
    )


@pytest.mark.parametrize("indent", ["", "  "], ids=["top level", "inferenceModel"])
def test_binary_labels_of_the_metadata_are_text_as_written(tmp_path: Path, indent: str) -> None:
    head = "inferenceModel:\n" if indent else ""
    _metadata(tmp_path, f"{head}{indent}positiveClassLabel: yes\n{indent}negativeClassLabel: 010\n")
    assert _build(tmp_path, target_type="binary").model.class_labels == ("010", "yes")


def test_one_label_may_come_from_the_arguments_and_one_from_the_metadata(tmp_path: Path) -> None:
    _metadata(tmp_path, "positiveClassLabel: a\nnegativeClassLabel: b\n")
    model = _build(tmp_path, target_type="binary", positive_class_label="c").model
    assert model.class_labels == ("b", "c")


@pytest.mark.parametrize(
    "text",
    [
        "classLabels: [1, 1.0, true, null, 2024-01-01, é, no]",
        "inferenceModel:\n  classLabels:\n  - 1\n  - 1.0\n  - true\n  - null\n  - 2024-01-01\n  - é\n  - 'no'\n",
        "base: &b {classLabels: '1 1.0 true null 2024-01-01 é no'}\ninferenceModel:\n  <<: *b\n",
    ],
    ids=["top level", "inferenceModel", "merged text"],
)
def test_multiclass_labels_of_the_metadata_are_text_as_written(tmp_path: Path, text: str) -> None:
    _metadata(tmp_path, text)
    labels = ("1", "1.0", "true", "null", "2024-01-01", "é", "no")
    assert _build(tmp_path, target_type="multiclass").model.class_labels == labels


def test_class_labels_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffa b\r\n\r\n c \r\né".encode())
    model = _build(tmp_path, target_type="multilabel", class_labels_file=str(path)).model
    assert model.class_labels == ("a b", "c", "é")
    assert model.positive_class_label is None


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\xff"], ids=["absent", "empty", "not text"])
def test_an_unusable_labels_file_is_a_usage_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "labels.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match="--class-labels-file"):
        _build(tmp_path, target_type="multiclass", class_labels_file=str(path))


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"target_type": "binary"}, "give --positive-class-label and --negative-class-label"),
        ({"target_type": "binary", "positive_class_label": "a"}, "needs two class labels"),
        (
            {"target_type": "binary", "positive_class_label": "a", "negative_class_label": "a"},
            "given twice: 'a'",
        ),
        ({"target_type": "multiclass"}, "give --class-labels or --class-labels-file"),
        ({"target_type": "multiclass", "class_labels": ("a",)}, "at least 2"),
        ({"target_type": "multiclass", "class_labels": ("a", "b", "a")}, "given twice: 'a'"),
        ({"target_type": "multilabel"}, "at least 1"),
        ({"target_type": "multiclass", "class_labels": ("a", "b"), "class_labels_file": "x"}, "not both"),
    ],
)
def test_wrong_labels_are_a_usage_error(tmp_path: Path, values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        _build(tmp_path, **values)


def test_labels_that_the_kind_does_not_need_are_ignored(tmp_path: Path) -> None:
    assert _build(tmp_path, class_labels=("a", "a"), positive_class_label="x").model.class_labels == ()


def test_class_labels_of_the_metadata_must_be_a_list(tmp_path: Path) -> None:
    _metadata(tmp_path, "classLabels: {a: b}")
    with pytest.raises(StartupError, match=r"classLabels in model-metadata\.yaml must be a list"):
        _build(tmp_path, target_type="multiclass")


@pytest.mark.parametrize(
    ("text", "server_type"),
    [
        ("flask", "flask"),
        ("Werkzeug", "flask"),
        ("GUNICORN", "gunicorn"),
        ("fastapi", "fastapi"),
        ("uvicorn", "fastapi"),
    ],
)
def test_the_server_type_is_a_parameter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, server_type: str
) -> None:
    monkeypatch.setenv("DRUM_SERVER_TYPE", text)
    assert _build(tmp_path).server.server_type == server_type


def test_an_unknown_server_type_is_flask_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DRUM_SERVER_TYPE", "twisted")
    assert _build(tmp_path).server.server_type == "flask"
    assert "Valid values: flask, gunicorn, fastapi, werkzeug, uvicorn." in caplog.text


def test_a_server_parameter_comes_prefixed_then_from_the_file_then_plain_then_from_the_definition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"DRUM_FASTAPI_EXECUTOR_{name}" for name in ("WORKERS", "QUEUE_DEPTH", "QUEUE_TIMEOUT")]
    for name in names:
        monkeypatch.setenv(name, "3")
    path = tmp_path / "p.yaml"
    path.write_text("".join(f"{name}: 2\n" for name in names[:2]))
    _set_parameter(monkeypatch, names[0], "numeric", 1)
    definition = "{fieldName: DRUM_GUNICORN_BACKLOG, type: numeric, defaultValue: 4}"
    _metadata(tmp_path, f"runtimeParameterDefinitions: [{definition}]")
    server = _build(tmp_path, runtime_params_file=str(path)).server
    assert (server.executor_workers, server.executor_queue_depth, server.executor_queue_timeout) == (
        1,
        2,
        3.0,
    )
    assert server.gunicorn_backlog == 4


@pytest.mark.parametrize(("workers", "executor_workers"), [(1, 4), (2, 4), (3, 6), (40, 80)])
def test_executor_sizes_follow_the_number_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, executor_workers: int
) -> None:
    monkeypatch.setenv("DRUM_SERVER_TYPE", "fastapi")
    server = _build(tmp_path, max_workers=workers).server
    assert server.executor_workers == executor_workers
    assert server.executor_queue_depth == 10 * executor_workers


def test_the_queue_depth_follows_given_executor_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_FASTAPI_EXECUTOR_WORKERS", "7")
    assert _build(tmp_path).server.executor_queue_depth == 70


@pytest.mark.parametrize(
    ("server_type", "limits"),
    [
        ("fastapi", (30.0, 600.0, 30.0, 100 * 1024 * 1024)),
        ("flask", (3600.0, 0.0, 0.0, 0)),
        ("gunicorn", (3600.0, 0.0, 0.0, 0)),
    ],
)
def test_the_older_servers_have_no_limits_that_they_did_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server_type: str, limits: tuple[float, ...]
) -> None:
    monkeypatch.setenv("DRUM_SERVER_TYPE", server_type)
    server = _build(tmp_path).server
    found = (server.executor_queue_timeout, server.request_timeout, server.upload_timeout, server.max_upload_size)
    assert found == limits


@pytest.mark.parametrize(("given", "timeout"), [(None, 600), ("45", 75), ("0", 0)])
def test_gunicorn_is_more_patient_than_the_request_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, timeout: int
) -> None:
    if given is not None:
        monkeypatch.setenv("DRUM_CLIENT_REQUEST_TIMEOUT", given)
    assert _build(tmp_path).server.gunicorn_timeout == timeout


def test_the_documented_defaults(tmp_path: Path) -> None:
    server = _build(tmp_path, logging_level="error").server
    assert (server.graceful_timeout, server.fastapi_keepalive) == (299.0, 75.0)
    assert (server.gunicorn_worker_class, server.gunicorn_threads) == ("sync", 1)
    assert server.gunicorn_log_level == "error"


def test_a_queue_depth_and_a_size_of_zero_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH", "0")
    monkeypatch.setenv("DRUM_FASTAPI_MAX_UPLOAD_SIZE", "0")
    server = _build(tmp_path).server
    assert (server.executor_queue_depth, server.max_upload_size) == (0, 0)


def test_a_graceful_timeout_out_of_range_is_moved_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DRUM_GUNICORN_GRACEFUL_TIMEOUT", "99999")
    assert _build(tmp_path).server.graceful_timeout == 3600.0
    assert "DRUM_GUNICORN_GRACEFUL_TIMEOUT=99999 is outside 1 to 3600: 3600 is used." in caplog.text


@pytest.mark.parametrize(
    ("flag", "parameter", "variable", "workers"),
    [
        (None, None, None, 1),
        (3, 5, "7", 3),
        (None, 5, "7", 5),
        (None, None, "7", 7),
        (0, None, None, 1),
        (41, None, None, 40),
        (None, 100, None, 40),
        (None, None, "-1", 1),
    ],
)
def test_the_flag_then_the_parameter_then_the_variable_give_the_workers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flag: int | None,
    parameter: int | None,
    variable: str | None,
    workers: int,
) -> None:
    monkeypatch.setenv("DRUM_SERVER_TYPE", "fastapi")
    if parameter is not None:
        _set_parameter(monkeypatch, "CUSTOM_MODEL_WORKERS", "numeric", parameter)
    if variable is not None:
        monkeypatch.setenv("UVICORN_WORKERS", variable)
    settings = _build(tmp_path, max_workers=flag)
    assert settings.workers == settings.server.custom_model_workers == workers


def test_gunicorn_does_not_read_the_workers_of_uvicorn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_SERVER_TYPE", "gunicorn")
    monkeypatch.setenv("UVICORN_WORKERS", "7")
    assert _build(tmp_path).workers == 1


def test_flask_is_one_process_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert _build(tmp_path, max_workers=4).workers == 1
    assert "The flask server is one process: choose gunicorn or fastapi for 4 workers." in caplog.text


def test_the_flag_that_wins_over_the_parameter_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CUSTOM_MODEL_WORKERS", "2")
    _build(tmp_path, max_workers=1)
    assert "--max-workers=1 wins over CUSTOM_MODEL_WORKERS." in caplog.text


def test_production_is_deprecated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert _build(tmp_path, production=True).production
    assert "--production is deprecated: give --max-workers instead." in caplog.text


@pytest.mark.parametrize(
    ("values", "level"),
    [({}, "info"), ({"verbose": True}, "debug"), ({"verbose": True, "logging_level": "error"}, "error")],
    ids=["default", "verbose", "both"],
)
def test_the_logging_level(tmp_path: Path, values: dict[str, Any], level: str) -> None:
    assert _build(tmp_path, **values).logging_level == level


def test_runtime_parameters_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _metadata(
        tmp_path,
        "runtimeParameterDefinitions:\n"
        "- {fieldName: RATE, type: numeric, defaultValue: 0.5}\n"
        "- {fieldName: KEY, type: credential}\n"
        "- {fieldName: NONE, type: string}\n",
    )
    path = tmp_path / "p.yaml"
    path.write_text("KEY: {credentialType: api_token, apiToken: t0ken-1}\n")
    _build(tmp_path, runtime_params_file=str(path))
    assert RuntimeParameters.get("RATE") == 0.5
    assert RuntimeParameters.get("KEY") == {"credentialType": "api_token", "apiToken": "t0ken-1"}
    assert not RuntimeParameters.has("NONE")
    assert mask_secrets("t0ken-1") == "****"


def test_the_api_token_is_masked(tmp_path: Path) -> None:
    settings = _build(tmp_path, api_token="t0ken-2")
    assert mask_secrets("token t0ken-2") == "token ****"
    assert "t0ken-2" not in repr(settings)


@pytest.mark.parametrize(
    ("variable", "text", "name"),
    [
        ("MLOPS_RUNTIME_PARAM_RATE", "not json", "RATE"),
        ("MLOPS_RUNTIME_PARAM_RATE", '{"type": "numeric", "payload": 11}', "RATE"),
        ("MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE", "not json", "DRUM_SERVER_TYPE"),
        ("DRUM_FASTAPI_EXECUTOR_WORKERS", "many", "DRUM_FASTAPI_EXECUTOR_WORKERS"),
        ("UVICORN_WORKERS", "many", "UVICORN_WORKERS"),
    ],
)
def test_a_wrong_parameter_ends_the_start_or_waits_for_the_error_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, name: str
) -> None:
    definition = "{fieldName: RATE, type: numeric, maxValue: 10}"
    _metadata(tmp_path, f"runtimeParameterDefinitions: [{definition}]")
    monkeypatch.setenv("DRUM_SERVER_TYPE", "fastapi")
    monkeypatch.setenv(variable, text)
    with pytest.raises(RuntimeParameterError, match=f"Runtime parameter {name} "):
        _build(tmp_path)
    settings = _build(tmp_path, with_error_server=True)
    assert isinstance(settings.parameter_error, RuntimeParameterError)
    assert settings.workers == 1


@pytest.mark.parametrize(
    "text",
    ["runtimeParameterDefinitions: 5", "runtimeParameterDefinitions: [{fieldName: A}]"],
    ids=["no list", "no type"],
)
def test_wrong_definitions_end_the_start(tmp_path: Path, text: str) -> None:
    _metadata(tmp_path, text)
    with pytest.raises(RuntimeParameterError):
        _build(tmp_path)


def test_a_worker_gets_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    settings = _build(Path("model"), target_type="multiclass", class_labels=("a", "b"), max_workers=2)
    for name, text in export_arguments(settings).items():
        monkeypatch.setenv(name, text)
    monkeypatch.chdir("/")
    assert settings_from_environment() == settings


def test_an_app_started_by_hand_needs_variables_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_DIR", os.fspath(tmp_path))
    monkeypatch.setenv("TARGET_TYPE", "regression")
    assert settings_from_environment().model.code_dir == tmp_path


def test_the_readme_table_shows_every_parameter_once() -> None:
    rows = [line.split("|")[1].strip() for line in markdown_table().splitlines()[2:]]
    assert len(rows) == len(set(rows))
    assert "`DRUM_SERVER_TYPE`" in rows


def test_a_spool_folder_that_cannot_be_written_is_told_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRUM_SPOOL_DIRECTORY", str(tmp_path / "nowhere"))
    with pytest.raises(RuntimeParameterError, match=r"DRUM_SPOOL_DIRECTORY.*written"):
        _build(tmp_path)


# An engine beside the server


def _engine(tmp_path: Path, **values: Any) -> Any:
    given_values = {"target_type": "textgeneration", "gpu_predictor": "nim", "sidecar": True, **values}
    return _build(tmp_path, **given_values).model.engine


@pytest.mark.usefixtures("target_name")
def test_an_engine_is_where_the_parameters_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (_engine(tmp_path).url, _engine(tmp_path).model_name) == ("http://127.0.0.1:8000", "datarobot-deployed-llm")
    _set_parameter(monkeypatch, "DRUM_ENGINE_HOST", "string", "engine.example")
    _set_parameter(monkeypatch, "DRUM_ENGINE_PORT", "numeric", 9000)
    _set_parameter(monkeypatch, "served_model_name", "string", "mine")
    engine = _engine(tmp_path, gpu_predictor="vllm")
    assert (engine.url, engine.model_name, engine.health_path) == ("http://engine.example:9000", "mine", "/health")


@pytest.mark.usefixtures("target_name")
@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"sidecar": False}, "starts no engine here.*give --sidecar"),
        ({"gpu_predictor": None}, "name it with --gpu-predictor"),
        ({"target_type": "regression"}, "not regression"),
    ],
)
def test_an_engine_that_cannot_be_is_a_usage_error(tmp_path: Path, values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        _engine(tmp_path, **values)


@pytest.mark.usefixtures("target_name")
@pytest.mark.parametrize("host", ["http://x", "x/y", "a@b", "x:80:y z", "x y", "x?"])
def test_an_engines_host_is_a_host_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DRUM_ENGINE_HOST", host)
    with pytest.raises(RuntimeParameterError, match="DRUM_ENGINE_HOST"):
        _engine(tmp_path)


@pytest.fixture
def target_name(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGET_NAME", "answer")


def _build_model(code_dir: Path, **values: Any) -> Any:
    return build_model_settings(Arguments(**{"code_dir": str(code_dir), "target_type": "regression", **values}))


def test_a_command_that_serves_nothing_needs_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_FASTAPI_EXECUTOR_WORKERS", "no number, and of no interest")
    _metadata(tmp_path, "runtimeParameterDefinitions:\n- {fieldName: threshold, type: numeric, defaultValue: 0.5}\n")
    assert _build_model(tmp_path) == _build_model(tmp_path, command="score", address="not:an:address")
    assert RuntimeParameters.get("threshold") == 0.5


def test_a_wrong_parameter_of_the_model_stops_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _metadata(tmp_path, "runtimeParameterDefinitions:\n- {fieldName: threshold, type: numeric, maxValue: 1}\n")
    _set_parameter(monkeypatch, "threshold", "numeric", 7)
    with pytest.raises(RuntimeParameterError, match="threshold"):
        _build_model(tmp_path)
