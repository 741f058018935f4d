"""Server parameters: sources, precedence, limits, aliases and computed defaults."""

from pathlib import Path

import pytest

from datarobot_drum.drum.exceptions import RuntimeParameterError
from datarobot_drum.drum.settings.server_parameters import SERVER_PARAMETERS
from tests.cases import each_case
from tests.settings.building import build, set_parameter, write_metadata

pytestmark = pytest.mark.usefixtures("clean_environment")


@each_case(
    ("text", "server_type"),
    [
        ("flask", "flask"),
        ("Werkzeug", "flask"),
        ("GUNICORN", "gunicorn"),
        ("fastapi", "fastapi"),
        ("uvicorn", "fastapi"),
    ],
)
def test_server_type_is_read_from_parameter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, server_type: str
) -> None:
    monkeypatch.setenv("DRUM_SERVER_TYPE", text)
    assert build(tmp_path).server.server_type == server_type


def test_unknown_server_type_falls_back_to_flask_with_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DRUM_SERVER_TYPE", "twisted")
    assert build(tmp_path).server.server_type == "flask"
    assert "Valid values: flask, gunicorn, fastapi, werkzeug, uvicorn." in caplog.text


def test_parameter_sources_have_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"DRUM_EXECUTOR_{name}" for name in ("WORKERS", "QUEUE_DEPTH", "QUEUE_TIMEOUT")]
    for name in names:
        monkeypatch.setenv(name, "3")
    path = tmp_path / "p.yaml"
    path.write_text("".join(f"{name}: 2\n" for name in names[:2]))
    set_parameter(monkeypatch, names[0], "numeric", 1)
    definition = "{fieldName: DRUM_GUNICORN_BACKLOG, type: numeric, defaultValue: 4}"
    write_metadata(tmp_path, f"runtimeParameterDefinitions: [{definition}]")
    server = build(tmp_path, runtime_params_file=str(path)).server
    assert (server.executor_workers, server.executor_queue_depth, server.executor_queue_timeout) == (
        1,
        2,
        3.0,
    )
    assert server.gunicorn_backlog == 4


@each_case(("workers", "executor_workers"), [(1, 4), (2, 4), (3, 6), (40, 80)])
def test_executor_sizes_depend_on_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, executor_workers: int
) -> None:
    monkeypatch.setenv("DRUM_SERVER_TYPE", "fastapi")
    server = build(tmp_path, max_workers=workers).server
    assert server.executor_workers == executor_workers
    assert server.executor_queue_depth == 10 * executor_workers


def test_queue_depth_depends_on_executor_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_EXECUTOR_WORKERS", "7")
    assert build(tmp_path).server.executor_queue_depth == 70


@each_case(
    ("server_type", "limits"),
    [
        ("fastapi", (30.0, 600.0, 30.0, 100 * 1024 * 1024)),
        ("flask", (3600.0, 0.0, 0.0, 0)),
        ("gunicorn", (3600.0, 0.0, 0.0, 0)),
    ],
)
def test_default_limits_depend_on_server_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server_type: str, limits: tuple[float, ...]
) -> None:
    monkeypatch.setenv("DRUM_SERVER_TYPE", server_type)
    server = build(tmp_path).server
    found = (server.executor_queue_timeout, server.request_timeout, server.upload_timeout, server.max_upload_size)
    assert found == limits


@each_case(("given", "timeout"), [(None, 600), ("45", 75), ("0", 0)])
def test_gunicorn_timeout_exceeds_request_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, timeout: int
) -> None:
    if given is not None:
        monkeypatch.setenv("DRUM_CLIENT_REQUEST_TIMEOUT", given)
    assert build(tmp_path).server.gunicorn_timeout == timeout


def test_defaults_are_the_documented_ones(tmp_path: Path) -> None:
    server = build(tmp_path, logging_level="error").server
    assert (server.graceful_timeout, server.fastapi_keepalive) == (299.0, 75.0)
    assert (server.gunicorn_worker_class, server.gunicorn_threads) == ("sync", 1)
    assert server.gunicorn_log_level == "error"


def test_zero_is_a_valid_queue_depth_and_upload_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_EXECUTOR_QUEUE_DEPTH", "0")
    monkeypatch.setenv("DRUM_MAX_UPLOAD_SIZE", "0")
    server = build(tmp_path).server
    assert (server.executor_queue_depth, server.max_upload_size) == (0, 0)


def test_graceful_timeout_is_clamped_with_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DRUM_GRACEFUL_TIMEOUT", "99999")
    assert build(tmp_path).server.graceful_timeout == 3600.0
    assert "DRUM_GRACEFUL_TIMEOUT=99999 is outside 1 to 3600: 3600 is used." in caplog.text


@each_case(
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
def test_workers_come_from_flag_then_parameter_then_variable(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flag: int | None,
    parameter: int | None,
    variable: str | None,
    workers: int,
) -> None:
    monkeypatch.setenv("DRUM_SERVER_TYPE", "fastapi")
    if parameter is not None:
        set_parameter(monkeypatch, "CUSTOM_MODEL_WORKERS", "numeric", parameter)
    if variable is not None:
        monkeypatch.setenv("UVICORN_WORKERS", variable)
    settings = build(tmp_path, max_workers=flag)
    assert settings.workers == settings.server.custom_model_workers == workers


def test_gunicorn_ignores_uvicorn_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_SERVER_TYPE", "gunicorn")
    monkeypatch.setenv("UVICORN_WORKERS", "7")
    assert build(tmp_path).workers == 1


def test_flask_runs_one_worker_with_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert build(tmp_path, max_workers=4).workers == 1
    assert "The flask server is one process: choose gunicorn or fastapi for 4 workers." in caplog.text


def test_max_workers_flag_overrides_parameter_with_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CUSTOM_MODEL_WORKERS", "2")
    build(tmp_path, max_workers=1)
    assert "--max-workers=1 wins over CUSTOM_MODEL_WORKERS." in caplog.text


def test_unwritable_spool_folder_raises_parameter_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_SPOOL_DIRECTORY", str(tmp_path / "nowhere"))
    with pytest.raises(RuntimeParameterError, match=r"DRUM_SPOOL_DIRECTORY.*written"):
        build(tmp_path)


ALIASES = {alias for declared in SERVER_PARAMETERS.values() for alias in declared.aliases}


@each_case(
    ("alias", "field", "source"),
    [
        ("DRUM_FASTAPI_UPLOAD_TIMEOUT", "upload_timeout", "variable"),
        ("DRUM_FASTAPI_MEMORY_BUDGET", "memory_budget", "prefixed"),
        ("DRUM_FASTAPI_MAX_UPLOAD_SIZE", "max_upload_size", "file"),
        ("DRUM_FASTAPI_EXECUTOR_WORKERS", "executor_workers", "variable"),
        ("DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH", "executor_queue_depth", "prefixed"),
        ("DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT", "executor_queue_timeout", "file"),
        ("DRUM_GUNICORN_GRACEFUL_TIMEOUT", "graceful_timeout", "variable"),
    ],
)
def test_old_name_sets_parameter_without_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    alias: str,
    field: str,
    source: str,
) -> None:
    assert alias in ALIASES
    path = tmp_path / "p.yaml"
    path.write_text(f"{alias}: 17\n" if source == "file" else "")
    if source == "variable":
        monkeypatch.setenv(alias, "17")
    if source == "prefixed":
        set_parameter(monkeypatch, alias, "numeric", 17)
    assert getattr(build(tmp_path, runtime_params_file=str(path)).server, field) == 17
    assert not caplog.records


@each_case("name", ["DRUM_CONCURRENCY", "DRUM_FASTAPI_CONCURRENCY"])
def test_concurrency_is_adaptive_unless_fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert build(tmp_path).server.concurrency == "auto"
    monkeypatch.setenv(name, "fixed")
    assert build(tmp_path).server.concurrency == "fixed"


def test_new_name_wins_over_old_name_with_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DRUM_GRACEFUL_TIMEOUT", "5")
    set_parameter(monkeypatch, "DRUM_GUNICORN_GRACEFUL_TIMEOUT", "numeric", 7)
    assert build(tmp_path).server.graceful_timeout == 5
    expected = "DRUM_GUNICORN_GRACEFUL_TIMEOUT is ignored: DRUM_GRACEFUL_TIMEOUT, its new name, is set, too."
    assert expected in caplog.text


def test_given_old_name_wins_over_default_of_new_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    definition = "{fieldName: DRUM_GRACEFUL_TIMEOUT, type: numeric, defaultValue: 5}"
    write_metadata(tmp_path, f"runtimeParameterDefinitions: [{definition}]")
    assert build(tmp_path).server.graceful_timeout == 5
    monkeypatch.setenv("DRUM_GUNICORN_GRACEFUL_TIMEOUT", "7")
    assert build(tmp_path).server.graceful_timeout == 7


def test_invalid_value_of_old_name_is_reported_by_old_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_FASTAPI_MAX_UPLOAD_SIZE", "large")
    with pytest.raises(RuntimeParameterError, match="Runtime parameter DRUM_FASTAPI_MAX_UPLOAD_SIZE must be a size"):
        build(tmp_path)
