"""``drum server --reload``: restarts, the error page meanwhile, drains and ends without leftover processes."""

import http.client
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cli.commands import FASTAPI, FASTAPI_2, FLASK, GUNICORN, GUNICORN_2, Setup
from tests.processes import RunningServer, has_ended

pytestmark = pytest.mark.process

CODE = """
import time
from pathlib import Path

import pandas as pd


def load_model(code_dir):
    return float((Path(code_dir) / "weights.txt").read_text())


def score(data, model, **kwargs):
    folder = Path(__file__).parent.parent
    if "gate" in data:
        (folder / "entered").touch()
        while not (folder / "gate").exists():
            time.sleep(0.01)
    return pd.DataFrame({"Predictions": [model] * len(data)})
"""
BROKEN = "raise ValueError('no such weights')\n"
CRASHING = "import os\n\nos._exit(9)\n"


class Reloading(RunningServer):
    """A reloading server of a model folder; it knows all its processes, which lead sessions of their own."""

    def __init__(self, folder: Path, setup: Setup) -> None:
        self.folder = folder / "model"
        self.folder.mkdir()
        self.write("custom.py", CODE)
        self.write("weights.txt", "1")
        words = ("-cd", self.folder, "--target-type", "regression", "--reload")
        super().__init__(*words, log=folder / "log", environment=setup.environment)
        self.seen: set[psutil.Process] = set()

    def processes(self) -> list[psutil.Process]:
        """Return the processes below the one that was started, and those of former calls that still run."""
        if self.process.poll() is None:
            root = psutil.Process(self.process.pid)
            self.seen |= {root, *root.children(recursive=True)}
        return [one for one in self.seen if not has_ended(one)]

    def write(self, name: str, text: str) -> None:
        """Write a file as editors do, in one step: a start never reads half of it, and there is one change."""
        new = self.folder / ".new"
        new.write_text(text, encoding="utf-8")
        new.replace(self.folder / name)

    def predict(self, rows: str = "x\n1\n") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/predict/", rows.encode(), {"Content-Type": "text/csv"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def predicts(self, value: str, rows: str = "x\n1\n") -> bool:
        try:
            return self.predict(rows) == (200, f'{{"predictions":[{value}]}}'.encode())
        except (OSError, http.client.HTTPException):
            return False

    def wait_for_error(self, text: str) -> None:
        def is_shown() -> bool:
            try:
                status, body = self.predict()
            except (OSError, http.client.HTTPException):
                return False
            return status == 513 and text.encode() in body

        self.wait_until(is_shown, f"513 with {text}")

    def wait_prediction(self, value: str) -> None:
        self.wait_until(lambda: self.predicts(value), f"prediction {value}")
        self.processes()


@pytest.fixture(params=[FLASK, GUNICORN_2, FASTAPI], ids=str)
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Reloading]:
    running = Reloading(tmp_path, request.param)
    with running:
        yield running


@pytest.fixture(params=[FLASK, GUNICORN, GUNICORN_2, FASTAPI, FASTAPI_2], ids=str)
def any_server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Reloading]:
    running = Reloading(tmp_path, request.param)
    with running:
        yield running


@pytest.fixture
def flask(tmp_path: Path) -> Iterator[Reloading]:
    running = Reloading(tmp_path, FLASK)
    with running:
        yield running


def test_a_change_is_served_and_an_error_is_shown_until_the_next_one(any_server: Reloading) -> None:
    server = any_server
    server.wait_prediction("1.0")
    server.write("weights.txt", "2")
    server.wait_prediction("2.0")
    server.write("custom.py", BROKEN)
    server.wait_for_error("no such weights")
    assert (server.status("/livez"), server.status("/readyz"), server.status("/")) == (200, 503, 513)
    server.write("custom.py", CODE)
    server.wait_prediction("2.0")
    server.write("model-metadata.yaml", "targetType: [")
    server.wait_for_error("model-metadata.yaml is not valid YAML")
    (server.folder / "model-metadata.yaml").unlink()
    server.wait_prediction("2.0")
    server.write("custom.py", CRASHING)
    server.wait_for_error("The server process ended with")
    server.write("custom.py", CODE)
    server.wait_prediction("2.0")
    server.send_signal(signal.SIGINT, to_group=True)
    assert server.wait() == 0
    assert server.log().count("not for production") == 1


def test_requests_in_flight_are_finished_before_the_restart(server: Reloading) -> None:
    answers: list[tuple[int, bytes]] = []
    thread = threading.Thread(target=lambda: answers.append(server.predict("gate\n1\n")))
    thread.start()
    server.wait_until((server.folder.parent / "entered").exists, "prediction")
    server.write("weights.txt", "2")
    server.wait_until(lambda: "Changed: weights.txt" in server.log(), "change")
    (server.folder.parent / "gate").touch()
    thread.join(30)
    assert answers == [(200, b'{"predictions":[1.0]}')]
    server.wait_prediction("2.0")


def test_files_that_servers_write_cause_no_restart(flask: Reloading) -> None:
    for name in (".compiled_model.json", "module.pyc", "run.log"):
        flask.write(name, "x")
    flask.write("weights.txt", "2")
    flask.wait_prediction("2.0")
    assert flask.log().count("Changed: ") == flask.log().count("Changed: weights.txt. Restarting.") == 1


def test_a_second_signal_stops_a_prediction_that_does_not_end(server: Reloading) -> None:
    thread = threading.Thread(target=lambda: server.predicts("1.0", "gate\n1\n"))
    thread.start()
    server.wait_until((server.folder.parent / "entered").exists, "prediction")
    server.processes()
    for number in (signal.SIGINT, signal.SIGTERM):  # of two equal ones that are pending, one would count
        server.send_signal(number)
    assert server.wait() == 1
    thread.join(30)


def test_the_server_ends_with_the_process_that_restarts_it(server: Reloading) -> None:
    server.processes()
    server.process.kill()
    assert server.wait() == -signal.SIGKILL


def test_a_start_that_fails_shows_its_error_first(tmp_path: Path) -> None:
    running = Reloading(tmp_path, FASTAPI)
    running.write("custom.py", BROKEN)
    running._ready = None
    with running:
        running.wait_for_error("no such weights")
        running.write("custom.py", CODE)
        running.wait_prediction("1.0")


def test_the_folder_may_be_a_link(tmp_path: Path) -> None:
    running = Reloading(tmp_path, FLASK)
    target = running.folder.rename(tmp_path / "version-1")
    os.symlink(target, running.folder)
    with running:
        running.write("weights.txt", "2")
        running.wait_prediction("2.0")
