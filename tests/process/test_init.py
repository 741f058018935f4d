"""``drum server`` as the first process of a container: it reaps orphans, forwards signals and keeps the exit code."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.processes import RunningServer

NAMESPACE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]


def _has_namespaces() -> bool:
    try:
        return subprocess.run([*NAMESPACE, "true"], capture_output=True, timeout=10).returncode == 0
    except OSError:
        return False


pytestmark = [pytest.mark.process, pytest.mark.skipif(not _has_namespaces(), reason="no pid namespaces")]

CODE = """
import os
import subprocess


def load_model(code_dir):
    return "model"


def score_unstructured(model, data, **kwargs):
    subprocess.run(["sh", "-c", "sh -c 'exit 0' & sh -c 'exit 0' &"])
    return f"{os.getpid()} {subprocess.run(['sh', '-c', 'exit 7']).returncode}"
"""


@pytest.fixture(params=[("flask", 1), ("gunicorn", 1), ("fastapi", 1), ("fastapi", 2)], ids=lambda setup: f"{setup}")
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    server_type, workers = request.param
    model = tmp_path / "model"
    model.mkdir()
    (model / "custom.py").write_text(CODE, encoding="utf-8")
    drum = [sys.executable, "-m", "datarobot_drum", "server", "--address", "127.0.0.1:{port}"]
    environment = {
        "DRUM_SERVER_TYPE": server_type,
        "CUSTOM_MODEL_WORKERS": str(workers),
        "DRUM_LAME_DUCK_SECONDS": "0",
    }
    words = ("--code-dir", model, "--target-type", "unstructured")
    running = RunningServer(*words, log=tmp_path / "log", environment=environment, command=[*NAMESPACE, *drum])
    try:
        yield running.start()
    finally:
        running.kill()


def _init(server: RunningServer) -> psutil.Process:
    """Return process 1 of the namespace, the child of ``unshare``."""
    (init,) = psutil.Process(server.process.pid).children()
    return init


def _has_zombies(server: RunningServer) -> bool:
    return any(map(_is_zombie, _init(server).children(recursive=True)))


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:  # reaped since it was listed
        return False


def test_orphans_are_reaped_and_the_model_gets_its_exit_codes(server: RunningServer) -> None:
    headers = {"Content-Type": "text/plain"}
    for _ in range(5):
        pid, code = server.client.post("/predictUnstructured/", content="x", headers=headers).text.split()
        assert (int(pid) != 1, code) == (True, "7")
    server.wait_until(lambda: not _has_zombies(server), "end of the zombies")
    _init(server).send_signal(signal.SIGTERM)
    assert server.wait() == 0, server.log_end()
    assert "Traceback" not in server.log()


def test_the_exit_code_says_that_the_server_was_killed(server: RunningServer) -> None:
    (main,) = _init(server).children()
    main.kill()
    assert server.wait() == 128 + signal.SIGKILL
