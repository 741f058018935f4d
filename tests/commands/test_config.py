"""``drum config`` and ``drum server --check``, as commands: report, exit code, and what they leave behind."""

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import FASTAPI, FLASK, GUNICORN, Setup, drum
from tests.processes import free_port

pytestmark = pytest.mark.process

MODEL = """
import pandas as pd

print("model code prints")


def load_model(code_dir):
    return "model"


def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": data["x"] / 1})
"""
REGRESSION = ("--target-type", "regression")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "custom.py").write_text(MODEL, encoding="utf-8")
    (folder / "warm_up.csv").write_text("x\n1\n2\n", encoding="utf-8")
    return folder


def _report(process: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    document: dict[str, Any] = json.loads(process.stdout)
    assert document["exit_code"] == process.returncode, process.stderr
    assert document["ok"] is (process.returncode == 0)
    assert "Traceback" not in process.stderr
    return document


def _problems(process: "subprocess.CompletedProcess[str]", kind: str) -> list[str]:
    start = f"drum: {kind}: "
    return [line.removeprefix(start) for line in process.stderr.splitlines() if line.startswith(start)]


@pytest.mark.parametrize("setup", [FLASK, GUNICORN, FASTAPI], ids=str)
def test_a_sound_folder_exits_with_0_and_stays_as_it_is(model: Path, setup: Setup) -> None:
    with socket.socket() as taken:  # no port is opened, so a taken one is no error
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ("config", "-cd", model, *REGRESSION, "--address", address, "--json")
        # Bytecode is written by default, and compiled models leave a verdict.
        process = drum(*words, environment={**setup.environment, "PYTHONDONTWRITEBYTECODE": ""})
    document = _report(process)
    assert (document["version"], document["warnings"], document["errors"]) == (1, [], [])
    assert document["model"].pop("seconds") > 0
    assert document["model"] == {"loaded": True, "predictor": "custom", "warm_up": ["warm_up.csv"]}
    assert "model code prints" in process.stderr
    by_name = {setting["name"]: setting for setting in document["settings"]}
    assert by_name["DRUM_SERVER_TYPE"] == {
        "name": "DRUM_SERVER_TYPE",
        "value": setup.server_type,
        "source": "variable",
        "source_name": "DRUM_SERVER_TYPE",
        "secret": False,
    }
    assert by_name["--address"]["value"] == address
    assert sorted(path.name for path in model.parent.rglob("*")) == ["custom.py", "model", "warm_up.csv"]


def test_the_text_has_a_line_for_each_setting_and_the_result(model: Path) -> None:
    environment = {"DRUM_EXECUTER_WORKERS": "2", "DRUM_GUNICORN_THREADS": "2", "API_TOKEN": "s3cr3t-t0k3n"}
    process = drum("config", "-cd", model, *REGRESSION, environment=environment)
    assert process.returncode == 0
    lines = [line.split() for line in process.stdout.splitlines()]
    assert lines[0] == ["setting", "value", "source"]
    assert ["--target-type", "regression", "flag", "--target-type"] in lines
    assert ["DRUM_SERVER_TYPE", "flask", "default"] in lines
    assert ["--api-token", "****", "variable", "API_TOKEN"] in lines
    assert "s3cr3t" not in process.stdout + process.stderr
    assert process.stdout.endswith("with the prediction of warm_up.csv.\nOK: 0 error(s), 3 warning(s).\n")
    warnings = _problems(process, "warning")
    assert warnings[0].endswith("(did you mean DRUM_EXECUTOR_WORKERS?).")
    assert warnings[1].startswith("DRUM_GUNICORN_THREADS has no effect: the flask server does not read it")
    assert warnings[2].startswith("No effect: API_TOKEN.")
    assert ["--address", "127.0.0.1:8080", "default"] in lines


def test_all_errors_are_reported_with_that_of_the_model(model: Path) -> None:
    (model / "custom.py").write_text("raise ValueError('no weights')\n", encoding="utf-8")
    variables = {
        "DRUM_WORKER_TIMEOUT": "soon",
        "DRUM_TLS_CERT": "/nowhere.pem",
        "DRUM_GRPC_PORT": "1",
        "MAX_WORKERS": "many",
        "DRUM_METRICS": "everywhere",
    }
    process = drum("config", "-cd", model, *REGRESSION, "--json", environment=variables)
    document = _report(process)
    assert process.returncode == 2  # of the first error: a variable of a flag
    messages = [error["message"] for error in document["errors"]]
    assert [error["exit_code"] for error in document["errors"]] == [2, 1, 1, 1, 1]
    for message, name in zip(messages, ("MAX_WORKERS", "TLS", "WORKER_TIMEOUT", "GRPC_PORT", "weights"), strict=True):
        assert name in message, messages
    assert any(warning.startswith("DRUM_METRICS='everywhere' is unknown") for warning in document["warnings"])
    assert document["model"]["loaded"] is False
    assert _problems(process, "error") == messages


def test_a_failing_warm_up_is_an_error(model: Path) -> None:
    (model / "warm_up.csv").write_text("y\n1\n", encoding="utf-8")
    process = drum("config", "-cd", model, *REGRESSION)
    assert process.returncode == 1
    (message,) = _problems(process, "error")
    assert message.startswith("The warm-up with warm_up.csv failed")
    assert process.stdout.endswith("Model: not loaded.\nWrong: 1 error(s), 0 warning(s).\n")


def test_a_failing_extension_is_an_error(model: Path) -> None:
    (model / "custom_fastapi.py").write_text("def init_app(app):\n    raise ValueError('no realm')\n", encoding="utf-8")
    process = drum("config", "-cd", model, *REGRESSION, environment=FASTAPI.environment)
    assert (process.returncode, "no realm" in _problems(process, "error")[0]) == (1, True)


def test_a_malformed_type_schema_exits_with_3(model: Path) -> None:
    (model / "model-metadata.yaml").write_text("typeSchema: {input_requirements: 1}\n", encoding="utf-8")
    assert drum("config", "-cd", model, *REGRESSION).returncode == 3


def test_a_wrong_target_type_is_reported_once(model: Path) -> None:
    process = drum("config", "-cd", model, environment={"TARGET_TYPE": "regresion"})
    (message,) = _problems(process, "error")
    assert (process.returncode, message.endswith("not 'regresion' (did you mean regression?).")) == (2, True)
    assert ["--address", "127.0.0.1:8080", "default"] in [line.split() for line in process.stdout.splitlines()]


def test_check_is_about_exactly_this_start(model: Path) -> None:
    process = drum("server", "-cd", model, *REGRESSION, "--check")
    assert (process.returncode, _problems(process, "warning")) == (0, [])
    assert ["--address", "127.0.0.1:8080", "default"] in [line.split() for line in process.stdout.splitlines()]
    process = drum("serve", "-cd", model, *REGRESSION, "--check", "--json", environment={"DRUM_RELOAD": "1"})
    assert _report(process)["model"]["loaded"]


def test_a_server_warns_of_unknown_names_once(model: Path) -> None:
    (model / "custom.py").write_text("raise ValueError('no weights')\n", encoding="utf-8")
    words = ("server", "-cd", model, *REGRESSION, "--address", f"127.0.0.1:{free_port()}", "--max-workers", "2")
    process = drum(*words, environment={**FASTAPI.environment, "DRUM_COMPIL": "off"})
    lines = [line for line in process.stderr.splitlines() if "DRUM_COMPIL " in line]
    assert len(lines) == 1 and lines[0].endswith("there is no such setting (did you mean DRUM_COMPILE?)."), (
        process.stderr
    )
    assert " WARNING " in lines[0]
