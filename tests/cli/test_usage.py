"""Error messages and exit codes of ``drum`` when it cannot start."""

import socket
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from datarobot_drum import __version__
from tests.cases import each_case
from tests.cli.commands import FASTAPI, FASTAPI_2, FLASK, GUNICORN, Setup, drum, write_model
from tests.processes import RunningServer, free_port

pytestmark = pytest.mark.process

REGRESSION = ("--target-type", "regression")

BROKEN = {
    "import": ("import module_that_does_not_exist\n", "module_that_does_not_exist"),
    "load": ("def load_model(code_dir):\n    raise ValueError('no such weights')\n", "no such weights"),
    "nothing": ("", "score"),
}


def _error_sentence(process: "CompletedProcess[str]", exit_code: int) -> str:
    """Return the only line of standard error that is not a log line."""
    assert process.returncode == exit_code, process.stderr
    assert "Traceback" not in process.stderr + process.stdout
    assert not process.stdout
    message = [line for line in process.stderr.splitlines() if " error: " in line]
    assert len(message) == 1 and message[0].startswith("drum"), process.stderr
    return message[0]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("server -cd {model}/nowhere --target-type regression --address :1", "nowhere"),
        ("server -cd {model} --target-type regression --address host:port", "host:port"),
        ("server --no-such-flag", "--no-such-flag"),
        ("server -cd {model} --target-type regression --address :1 --json", "--check"),
        ("", "COMMAND"),
    ],
    ids=lambda text: text or "nothing",
)
def test_usage_error_is_one_sentence_and_exit_code_2(model: Path, words: str, named: str) -> None:
    process = drum(*words.format(model=model).split())
    assert named in _error_sentence(process, exit_code=2)
    assert len(process.stderr.splitlines()) == 1


@pytest.mark.parametrize("setup", [FLASK, GUNICORN, FASTAPI, FASTAPI_2], ids=str)
def test_port_in_use_is_one_sentence_and_exit_code_1(model: Path, taken_port: int, setup: Setup) -> None:
    words = ("server", "-cd", model, *REGRESSION, "--address", f"127.0.0.1:{taken_port}")
    message = _error_sentence(drum(*words, environment=setup.environment), exit_code=1)
    assert f"127.0.0.1:{taken_port}" in message and "in use" in message


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("DRUM_EXECUTOR_WORKERS", '{"type": "numeric", "payload": "many"}', "DRUM_EXECUTOR_WORKERS"),
        ("THRESHOLD", "{not json", "THRESHOLD"),
    ],
)
def test_invalid_parameter_is_one_sentence_and_exit_code_1(model: Path, name: str, text: str, named: str) -> None:
    words = ("server", "-cd", model, *REGRESSION, "--address", f"127.0.0.1:{free_port()}")
    (model / "model-metadata.yaml").write_text(
        "runtimeParameterDefinitions:\n- {fieldName: THRESHOLD, type: numeric}\n", encoding="utf-8"
    )
    process = drum(*words, environment={f"MLOPS_RUNTIME_PARAM_{name}": text})
    assert named in _error_sentence(process, exit_code=1)


@each_case(("setup", "kind"), [(FLASK, "import"), (FLASK, "nothing"), (FASTAPI, "load")], ids=str)
def test_broken_model_is_one_sentence_and_exit_code_1(tmp_path: Path, setup: Setup, kind: str) -> None:
    code, cause = BROKEN[kind]
    words = ("server", "-cd", write_model(tmp_path, code), *REGRESSION, "--address", f"127.0.0.1:{free_port()}")
    assert cause in _error_sentence(drum(*words, environment=setup.environment), exit_code=1)


@each_case(("setup", "exit_code"), [(FASTAPI_2, 1), (GUNICORN, 3)], ids=["fastapi-2-workers", "gunicorn"])
def test_model_failure_in_worker_stops_the_server_with_its_cause(tmp_path: Path, setup: Setup, exit_code: int) -> None:
    code, cause = BROKEN["load"]
    words = ("server", "-cd", write_model(tmp_path, code), *REGRESSION, "--address", f"127.0.0.1:{free_port()}")
    process = drum(*words, environment=setup.environment)
    assert process.returncode == exit_code, process.stderr
    assert cause in process.stderr and "Traceback" not in process.stderr


@each_case("setup", [FLASK, FASTAPI_2], ids=str)
def test_show_stacktrace_prints_traceback_of_failed_start(tmp_path: Path, setup: Setup) -> None:
    code, cause = BROKEN["load"]
    words = ("server", "-cd", write_model(tmp_path, code), *REGRESSION, "--address", f"127.0.0.1:{free_port()}")
    process = drum(*words, "--show-stacktrace", environment=setup.environment)
    assert "Traceback" in process.stderr and f"ValueError: {cause}" in process.stderr


def test_error_server_of_several_workers_responds_with_the_cause(tmp_path: Path) -> None:
    code, cause = BROKEN["load"]
    words = ("-cd", write_model(tmp_path, code), *REGRESSION, "--with-error-server")
    with RunningServer(*words, log=tmp_path / "log", environment=FASTAPI_2.environment, ready="/livez") as server:
        server.wait_until(lambda: server.status("/") == 513, "513 from /")
        response = server.client.post("/predict/", content=b"x\n1\n")
        assert (response.status_code, server.status("/readyz")) == (513, 503)
        assert cause in response.json()["message"]


def test_drum_version_prints_version() -> None:
    process = drum("--version")
    assert (process.returncode, process.stdout, process.stderr) == (0, f"drum {__version__}\n", "")
