"""One loaded model for two workers (``DRUM_SHARE_MODEL``): when it is shared and when not."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.processes import RunningServer
from tests.resilience.resource_usage import worker_processes

pytestmark = pytest.mark.process

MODEL = '''
"""Prints the process that loads it; predicts its process, a random number, or the column `x`."""

import os
import random
import socket
import threading
import time

import numpy as np
import pandas as pd


def load_model(code_dir):
    print(f"loaded by {os.getpid()}")
    return prepare() or "model"


def prepare():
    pass


def score(data, model, **kwargs):
    what = data["what"].iloc[0]
    time.sleep(0.05)
    values = {"pid": os.getpid, "random": random.random, "numpy": np.random.random}
    return pd.DataFrame({"Predictions": [float(values[what]())] if what in values else data["x"]})
'''

THREAD = (
    "\ndef prepare():\n    threading.Thread(target=time.sleep, args=(600,), name='refresher', daemon=True).start()\n"
)
SOCKET = "\ndef prepare():\n    made = socket.create_server(('127.0.0.1', 0))\n    return made\n"
FAILURE = "\ndef prepare():\n    raise ValueError('no such weights')\n"
SLOW = "\ndef prepare():\n    time.sleep(600)\n"

StartSharing = Callable[..., RunningServer]

both_servers = pytest.mark.parametrize("server_type", ["gunicorn", "fastapi"])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartSharing]:
    """Start a server of two workers over the model and ``addition``; the fixture kills servers that still run."""
    servers: list[RunningServer] = []

    def start(
        server_type: str, addition: str = "", *words: str, ready: str | None = "/readyz", **parameters: object
    ) -> RunningServer:
        server = _server(tmp_path, server_type, addition, *words, ready=ready, **parameters)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="module", params=["gunicorn", "fastapi"])
def sharing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of two workers that share the model; it has to stop cleanly."""
    with _server(tmp_path_factory.mktemp(request.param), request.param) as server:
        yield server


def _server(
    folder: Path, server_type: str, addition: str = "", *words: str, ready: str | None = "/readyz", **parameters: object
) -> RunningServer:
    code_dir = folder / "model"
    code_dir.mkdir(exist_ok=True)
    (code_dir / "custom.py").write_text(MODEL + addition, encoding="utf-8")
    environment = {
        "DRUM_SERVER_TYPE": server_type,
        "DRUM_SHARE_MODEL": "1",
        "DRUM_LAME_DUCK_SECONDS": "0",
        "CUSTOM_MODEL_WORKERS": "2",
        **{f"DRUM_{name}": str(value) for name, value in parameters.items()},
    }
    words = ("--code-dir", str(code_dir), "--target-type", "regression", *words)
    return RunningServer(*words, log=folder / "log", environment=environment, ready=ready)


def _predict(server: RunningServer, what: str) -> float:
    """Predict on a new connection, which any worker may accept."""
    headers = {"Content-Type": "text/csv", "Connection": "close"}
    response = server.client.post("/predict/", content=f"x,what\n1.5,{what}\n", headers=headers)
    assert response.status_code == 200, response.text
    return float(response.json()["predictions"][0])


def _many(server: RunningServer, what: str, times: int = 16) -> list[float]:
    """Predict on eight connections at once."""
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda _: _predict(server, what), range(times)))


def _responding_workers(server: RunningServer) -> set[int]:
    """Send requests until two workers have responded; return their ids."""
    found: set[int] = set()

    def are_two() -> bool:
        found.update(map(int, _many(server, "pid")))
        return len(found) >= 2

    server.wait_until(are_two, "two workers")
    return found


def _loads(server: RunningServer) -> list[int]:
    """Return the process id of every load so far."""
    return [int(pid) for pid in re.findall(r"^loaded by (\d+)$", server.log(), re.MULTILINE)]


def test_workers_share_the_model_of_their_parent(sharing: RunningServer) -> None:
    assert _responding_workers(sharing) == set(worker_processes(sharing.process.pid))
    assert _many(sharing, "x") == [1.5] * 16
    assert _loads(sharing) == [sharing.process.pid]
    assert sharing.log().count("Model loaded in") == 1


@pytest.mark.parametrize("source", ["random", "numpy"])
def test_workers_have_different_random_numbers(sharing: RunningServer, source: str) -> None:
    numbers = _many(sharing, source, 32)
    assert len(set(numbers)) == 32


def test_a_killed_worker_is_replaced_without_another_load(sharing: RunningServer) -> None:
    victim = min(worker_processes(sharing.process.pid))
    os.kill(victim, signal.SIGKILL)
    sharing.wait_until(lambda: victim not in worker_processes(sharing.process.pid), "end of the victim")
    sharing.wait_until(lambda: len(worker_processes(sharing.process.pid)) == 2, "replacement")
    assert _many(sharing, "x") == [1.5] * 16
    assert _loads(sharing) == [sharing.process.pid]


@both_servers
def test_a_recycled_worker_is_replaced_without_another_load(start: StartSharing, server_type: str) -> None:
    server = start(server_type, **{f"{server_type.upper()}_MAX_REQUESTS": 20})
    former = set(worker_processes(server.process.pid))
    server.wait_until(
        lambda: bool(_many(server, "x")) and not former & set(worker_processes(server.process.pid)), "new workers"
    )
    assert _loads(server) == [server.process.pid]
    server.stop()


@pytest.mark.parametrize(
    ("server_type", "addition", "reason"),
    [("gunicorn", THREAD, "1 Python thread (refresher)"), ("fastapi", SOCKET, "a socket")],
    ids=["gunicorn-thread", "fastapi-socket"],
)
def test_each_worker_loads_a_model_that_cannot_be_shared(
    start: StartSharing, server_type: str, addition: str, reason: str
) -> None:
    server = start(server_type, addition)
    server.wait_until(lambda: len(_loads(server)) == 3, "a load in each worker")
    (refused, *loads) = _loads(server)
    assert refused == server.process.pid and set(loads) == _responding_workers(server)
    assert "The model is not shared between the workers (DRUM_SHARE_MODEL), since" in server.log()
    assert server.log().count(f"share: {reason}. ") == 1
    assert psutil.Process(server.process.pid).num_threads() == 1
    server.stop()


def test_gevent_workers_load_the_model_themselves(start: StartSharing) -> None:
    server = start("gunicorn", GUNICORN_WORKER_CLASS="gevent")
    server.wait_until(lambda: len(_loads(server)) == 2, "a load in each worker")
    assert "gevent changes Python's own modules" in server.log()
    assert server.process.pid not in _loads(server)
    server.stop()


@both_servers
def test_a_failed_load_exits_as_without_sharing(start: StartSharing, server_type: str) -> None:
    ends = []
    for share in (0, 1):
        server = start(server_type, FAILURE, ready=None, SHARE_MODEL=share)
        exit_code = server.wait()
        reasons = {line.partition(": ")[2] for line in server.log().splitlines() if "no such weights" in line}
        ends.append((exit_code, {reason.removeprefix("error: ") for reason in reasons}))
    assert ends[0][0] == ends[1][0] and ends[1][1] and ends[1][1] <= ends[0][1]


@both_servers
def test_the_error_server_names_the_load_error_of_a_shared_model(start: StartSharing, server_type: str) -> None:
    server = start(server_type, FAILURE, "--with-error-server", ready="/livez")
    response = server.client.post("/predict/", content="x,what\n1,x\n", headers={"Content-Type": "text/csv"})
    assert response.status_code == 513 and "no such weights" in response.text
    assert server.status("/readyz") == 503
    assert _loads(server) == [server.process.pid]
    server.stop()


@both_servers
def test_a_signal_during_loading_stops_the_server(start: StartSharing, server_type: str) -> None:
    server = start(server_type, SLOW, ready=None)
    server.wait_until(lambda: bool(_loads(server)), "load")
    server.stop()


@both_servers
def test_workers_exit_when_their_parent_dies(start: StartSharing, server_type: str) -> None:
    server = start(server_type)
    server.send_signal(signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
