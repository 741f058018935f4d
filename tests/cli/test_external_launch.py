"""The apps under another command line, as the README describes; settings come from variables alone."""

import signal
import sys
from pathlib import Path

import pytest

from tests.cases import each_case
from tests.cli.commands import write_model
from tests.cli.waiting_requests import predict
from tests.processes import RunningServer

pytestmark = pytest.mark.process

UVICORN = "-m uvicorn --factory datarobot_drum.drum.asgi:create_app --port {port}".split()
GUNICORN = [
    "-m",
    "gunicorn",
    "--config",
    "python:datarobot_drum.drum.gunicorn.config",
    "datarobot_drum.drum.wsgi:create_app()",
]
BROKEN = "def load_model(code_dir):\n    raise ValueError('no such weights')\n"


def _command(*words: str) -> list[str]:
    return ["env", "ADDRESS=127.0.0.1:{port}", sys.executable, *words]


def _launch(model: Path, *words: str, **variables: str) -> RunningServer:
    environment = {"CODE_DIR": model.name, "TARGET_TYPE": "regression", **variables}
    log = model.parent / "log"
    return RunningServer(log=log, command=_command(*words), environment=environment, folder=model.parent)


@each_case(
    ("words", "workers", "server_type"),
    [
        (UVICORN, "1", "fastapi"),
        ([*UVICORN, "--workers", "2"], "2", "fastapi"),
        (GUNICORN, "2", "gunicorn"),
    ],
    ids=["uvicorn", "uvicorn-2-workers", "gunicorn-2-workers"],
)
def test_external_launch_predicts_and_stops(tmp_path: Path, words: list[str], workers: str, server_type: str) -> None:
    with _launch(write_model(tmp_path), *words, CUSTOM_MODEL_WORKERS=workers) as server:
        responses = [predict(server) for _ in range(4)]
        assert [response.status_code for response in responses] == [200] * 4
        assert server.client.get("/info/").json()["drumServer"] == server_type
        server.send_signal(signal.SIGTERM)
        # Only uvicorn re-raises the signal after a clean stop.
        assert server.wait() in (0, -signal.SIGTERM), server.log()
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("words", [UVICORN, GUNICORN], ids=["uvicorn", "gunicorn"])
def test_external_launch_exits_with_cause_of_failed_load(tmp_path: Path, words: list[str]) -> None:
    server = _launch(write_model(tmp_path, BROKEN), *words)
    with pytest.raises(AssertionError, match="no such weights"):
        server.start()
    assert server.wait() != 0
    server.kill()


@pytest.mark.parametrize("words", [UVICORN, GUNICORN], ids=["uvicorn", "gunicorn"])
def test_external_launch_names_missing_setting(tmp_path: Path, words: list[str]) -> None:
    server = _launch(write_model(tmp_path), *words, TARGET_TYPE="")
    with pytest.raises(AssertionError, match="--target-type is missing"):
        server.start()
    assert server.wait() != 0
    server.kill()
