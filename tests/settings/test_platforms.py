"""Variables and folders of hosting platforms become settings; flags and variables of ours win over them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from datarobot_drum.drum.cli import parse_arguments
from datarobot_drum.drum.exceptions import RuntimeParameterError, UsageError
from datarobot_drum.drum.settings import platforms
from datarobot_drum.drum.settings.arguments import Arguments, merge_environment
from datarobot_drum.drum.settings.build import Settings, build_settings
from datarobot_drum.drum.settings.declaration import SCORE, SERVE, SERVER
from tests.cases import each_case
from tests.settings.building import write_metadata

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "ml" / "model"
    folder.mkdir(parents=True)
    return folder


def serve(
    monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, Any], command: str = "serve", *flags: str
) -> Settings:
    for name, value in {"TARGET_TYPE": "regression", **variables}.items():
        monkeypatch.setenv(name, str(value))
    return build_settings(parse_arguments([command, *flags]))


def test_serve_needs_no_argument_on_sagemaker(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    settings = serve(monkeypatch, {"SAGEMAKER_BASE_DIR": model.parent})
    assert (settings.host, settings.port, settings.model.code_dir) == ("0.0.0.0", 8080, model)
    assert settings.platform.effects == (f"Platform SageMaker: the model is in {model}.",)


def test_sagemaker_variables_set_port_workers_timeout_size_and_log_level(
    monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    settings = serve(
        monkeypatch,
        {
            "SAGEMAKER_BASE_DIR": model.parent,
            "SAGEMAKER_BIND_TO_PORT": 9001,
            "SAGEMAKER_MODEL_SERVER_WORKERS": 3,
            "SAGEMAKER_MODEL_SERVER_TIMEOUT": 50,
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": 6,
            "SAGEMAKER_CONTAINER_LOG_LEVEL": 30,
            "DRUM_SERVER_TYPE": "fastapi",
        },
    )
    assert (settings.port, settings.workers, settings.logging_level) == (9001, 3, "warning")
    assert (settings.server.request_timeout, settings.server.max_upload_size) == (50, 6 * 1024 * 1024)
    assert "SAGEMAKER_MODEL_SERVER_WORKERS sets CUSTOM_MODEL_WORKERS to 3" in settings.platform.effects[0]


def test_own_settings_win_over_those_of_a_platform(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    variables = {
        "PORT": "9000",
        "AIP_HTTP_PORT": "9002",
        "ADDRESS": "127.0.0.1:7000",
        "AIP_STORAGE_URI": "gs://bucket/model",
        "SAGEMAKER_MODEL_SERVER_WORKERS": "3",
        "CUSTOM_MODEL_WORKERS": "2",
        "DRUM_SERVER_TYPE": "fastapi",
        "CODE_DIR": model,
    }
    settings = serve(monkeypatch, variables, "server", "--logging-level", "error")
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 7000, 2)
    assert (settings.model.code_dir, settings.logging_level) == (model, "error")
    assert all("other settings win" in effect for effect in settings.platform.effects)


def test_model_metadata_may_lie_in_the_code_folder_of_sagemaker(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    (model / "code").mkdir()
    write_metadata(model / "code", "targetType: anomaly")
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(model.parent))
    assert build_settings(parse_arguments(["serve"])).model.target_type.value == "anomaly"


def test_variables_of_sagemaker_without_effect_are_warned_of(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    variables = {
        "SAGEMAKER_BASE_DIR": model.parent,
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "s3://bucket/code",
        "SAGEMAKER_SAFE_PORT_RANGE": "8085-8090",
        "DRUM_MANAGEMENT_PORT": "9999",
    }
    warnings = serve(monkeypatch, variables).platform.warnings
    assert [warning.split("=")[0] for warning in warnings] == [
        "SAGEMAKER_PROGRAM",
        "SAGEMAKER_SUBMIT_DIRECTORY",
        "DRUM_MANAGEMENT_PORT",
    ]


def test_vertex_variables_set_address_routes_and_a_local_model(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    settings = serve(
        monkeypatch,
        {
            "AIP_HTTP_PORT": "8090",
            "AIP_HEALTH_ROUTE": "/v1/endpoints/1/deployedModels/2",
            "AIP_PREDICT_ROUTE": "/v1/endpoints/1/deployedModels/2:predict",
            "AIP_STORAGE_URI": f"file://{model}",
        },
        "server",
    )
    assert (settings.host, settings.port, settings.model.code_dir) == ("0.0.0.0", 8090, model)
    assert settings.platform.routes.predict == "/v1/endpoints/1/deployedModels/2:predict"


@each_case(("variable", "name"), [("K_SERVICE", "Cloud Run or Knative"), ("DYNO", "Heroku"), ("X", "unknown")])
def test_port_sets_the_address(monkeypatch: pytest.MonkeyPatch, model: Path, variable: str, name: str) -> None:
    settings = serve(monkeypatch, {"PORT": "5000", variable: "x", "CODE_DIR": model}, "server")
    assert (settings.host, settings.port) == ("0.0.0.0", 5000)
    assert settings.platform.effects == (f"Platform {name}: PORT sets --address 0.0.0.0:5000.",)


def test_serve_finds_the_model_of_kserve(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    monkeypatch.setattr(platforms, "KSERVE_FOLDER", model)
    assert serve(monkeypatch, {}).model.code_dir == model
    with pytest.raises(UsageError, match=r"The folder .*is missing"):
        serve(monkeypatch, {"PORT": "1"}, "server")


@each_case(
    ("variables", "message"),
    [
        ({"AIP_HTTP_PORT": "8080", "AIP_STORAGE_URI": "gs://b/m"}, "gcloud storage cp --recursive 'gs://b/m/[*]'"),
        ({"PORT": "http"}, "PORT must be a port, not 'http'"),
        ({"PORT": "70000"}, "PORT must be a port"),
        ({"AIP_PREDICT_ROUTE": "/a/<b>"}, "AIP_PREDICT_ROUTE '/a/<b>' is not a path"),
        ({"SAGEMAKER_MULTI_MODEL": "true"}, "drum serves one model"),
        ({"SAGEMAKER_CONTAINER_LOG_LEVEL": "loud"}, "SAGEMAKER_CONTAINER_LOG_LEVEL must be a number, or one of"),
    ],
)
def test_wrong_values_are_usage_errors(variables: Mapping[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        merge_environment(SERVE, {}, variables)


def test_wrong_parameter_names_the_variable_of_the_platform(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    with pytest.raises(RuntimeParameterError, match="SAGEMAKER_MODEL_SERVER_WORKERS"):
        serve(monkeypatch, {"SAGEMAKER_BASE_DIR": model.parent, "SAGEMAKER_MODEL_SERVER_WORKERS": "many"})


def test_other_commands_ignore_platforms() -> None:
    assert merge_environment(SCORE, {}, {"PORT": "http", "AIP_STORAGE_URI": "gs://b/m"}) == Arguments(command=SCORE)
    assert merge_environment(SERVER, {}, {"PORT": " "}) == Arguments(command=SERVER)
