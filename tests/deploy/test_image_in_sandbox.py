"""The steps of the Dockerfile and the server that they make, as process 1 without rights on a read-only file system."""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.deploy.sandbox import build, first_process, has_namespaces, run_at_mnt, server_in
from tests.processes import RunningServer, free_port

pytestmark = [pytest.mark.process, pytest.mark.skipif(not has_namespaces(), reason="no user and mount namespaces")]

CSV = {"Content-Type": "text/csv"}
SLOW = "slow"

CODE = """
import getpass
import json
import os
import pwd
import subprocess
import time


def load_model(code_dir):
    return code_dir


def score_unstructured(model, data, **kwargs):
    if data == "slow":
        time.sleep(3)
        return "slow"
    if data == "orphans":
        subprocess.run(["sh", "-c", "sh -c 'exit 0' & sh -c 'exit 0' &"])
        return str(os.getpid())
    if len(data) > 1000:
        return str(len(data))
    errors = {}
    for path in (model, "/", "/usr/lib", "/tmp", os.path.expanduser("~"), os.path.dirname(os.__file__)):
        try:
            with open(f"{path}/written", "w"):
                errors[path] = ""
        except OSError as error:
            errors[path] = error.strerror
    try:
        entry = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        entry = ""
    with open("/proc/self/status") as status:
        rights = [line.split()[1] for line in status if line.startswith(("CapEff", "NoNewPrivs"))]
    return json.dumps([errors, entry, getpass.getuser(), rights])
"""

TRAIN = """
import pickle, sklearn.linear_model as linear
model = linear.LinearRegression().fit([[0.0, 1.0], [1.0, 0.0], [2.0, 5.0]], [1.0, 2.0, 9.0])
pickle.dump(model, open("/mnt/regression/model.pkl", "wb"))
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image")
    build(folder, "scikit-learn compile")
    (folder / "unstructured").mkdir()
    (folder / "unstructured" / "custom.py").write_text(CODE, encoding="utf-8")
    (folder / "regression").mkdir()
    (folder / "train.py").write_text(TRAIN, encoding="utf-8")
    run_at_mnt(folder, "/mnt/drum/bin/python /mnt/train.py")
    return folder


@pytest.fixture(params=["fastapi", "gunicorn", "flask"])
def server(image: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    variables = {
        "DRUM_SERVER_TYPE": request.param,
        "DRUM_LAME_DUCK_SECONDS": "0",
        "DRUM_MANAGEMENT_PORT": str(free_port()),
        "PORT": "{port}",
        "CODE_DIR": "/mnt/unstructured",
        "TARGET_TYPE": "unstructured",
    }
    running = server_in(image, tmp_path / "log", variables)
    try:
        yield running.start()
    finally:
        running.kill()


def _send(server: RunningServer, text: str) -> httpx.Response:
    return server.client.post("/predictUnstructured/", content=text, headers={"Content-Type": "text/plain"})


def test_server_needs_no_rights_and_no_writable_folder_but_tmp(server: RunningServer) -> None:
    errors, entry, user, rights = json.loads(_send(server, "x").text)
    assert errors.pop("/tmp") == ""
    assert set(errors.values()) == {"Read-only file system"} and len(errors) == 4
    assert (entry, user, rights) == ("", "drum", ["0000000000000000", "1"])
    assert _send(server, "y" * 11_000_000).text == "11000000"
    _stop(server)
    assert server.wait() == 0
    assert "Traceback" not in server.log()


def _stop(server: RunningServer) -> None:
    first_process(server).send_signal(signal.SIGTERM)


def test_first_process_reaps_orphans_and_drains_on_sigterm(server: RunningServer) -> None:
    assert _send(server, "orphans").text not in ("", "1")
    first = first_process(server)
    server.wait_until(lambda: not _zombies(first), "end of the zombies")
    responses: list[httpx.Response] = []
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
        request = threading.Thread(
            target=lambda: responses.append(
                client.post("/predictUnstructured/", content=SLOW, headers={"Content-Type": "text/plain"})
            )
        )
        request.start()
        threading.Event().wait(1.0)
        first.send_signal(signal.SIGTERM)
        request.join()
    assert [(response.status_code, response.text) for response in responses] == [(200, SLOW)]
    assert server.wait() == 0, server.log_end()


def _zombies(first: psutil.Process) -> list[psutil.Process]:
    return [process for process in first.children(recursive=True) if process.status() == psutil.STATUS_ZOMBIE]


def test_sagemaker_s_argument_and_variables_serve_a_compiled_model(image: Path, tmp_path: Path) -> None:
    base = image / "ml"
    base.mkdir()
    (base / "model").symlink_to("../regression")
    variables = {
        "SAGEMAKER_BIND_TO_PORT": "{port}",
        "SAGEMAKER_BASE_DIR": "/mnt/ml",
        "TARGET_TYPE": "regression",
        "DRUM_MANAGEMENT_PORT": "0",
        "DRUM_LAME_DUCK_SECONDS": "0",
    }
    running = server_in(image, tmp_path / "log", variables)
    try:
        running.start()
        assert running.status("/ping") == 200
        response = running.client.post("/invocations", content="a,b\n2,5\n", headers=CSV)
        assert response.json()["predictions"] == [pytest.approx(9.0)]
        running.wait_until(lambda: running.client.get("/info/").json()["compiled"] is not None, "compiled model")
        _stop(running)
        assert running.wait() == 0
        assert "Traceback" not in running.log() and "Read-only" not in running.log()
        assert not list((image / "regression").glob(".compiled*"))
    finally:
        running.kill()


def test_vertex_ai_s_variables_are_honoured(image: Path, tmp_path: Path) -> None:
    variables = {
        "AIP_HTTP_PORT": "{port}",
        "AIP_HEALTH_ROUTE": "/v1/health",
        "AIP_PREDICT_ROUTE": "/v1/models/1:predict",
        "CODE_DIR": "/mnt/regression",
        "TARGET_TYPE": "regression",
        "DRUM_MANAGEMENT_PORT": "0",
        "DRUM_LAME_DUCK_SECONDS": "0",
    }
    running = server_in(image, tmp_path / "log", variables)
    try:
        running.start()
        assert running.status("/v1/health") == 200
        body = {"instances": [{"a": 2.0, "b": 5.0}]}
        assert running.client.post("/v1/models/1:predict", json=body).json()["predictions"] == [pytest.approx(9.0)]
        _stop(running)
        assert running.wait() == 0
    finally:
        running.kill()


def test_image_has_neither_a_compiler_nor_an_installer(image: Path) -> None:
    programs = {file.name for file in (image / "drum" / "bin").iterdir()}
    assert "drum" in programs
    assert not [name for name in programs if name.startswith(("pip", "gcc", "cc", "uv")) and name != "uvicorn"]
    assert list((image / "drum" / "lib").rglob("datarobot_drum/__pycache__/*.pyc"))
