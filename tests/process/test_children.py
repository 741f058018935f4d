"""Processes and threads of the model end with the server, on all servers."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.processes import RunningServer

pytestmark = pytest.mark.process

CODE = '''
"""Start processes that do not end by themselves, when a file beside the folder or a request says so."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

FORK = multiprocessing.get_context("fork")


def sleep():
    while True:
        time.sleep(1)


def ignore_and_sleep():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleep()


def start_process():
    FORK.Process(target=sleep).start()


def start_daemon():
    FORK.Process(target=sleep, daemon=True).start()


def start_stubborn_process():
    FORK.Process(target=ignore_and_sleep).start()


def start_program():
    subprocess.Popen(["sleep", "1000"], start_new_session=True)


def start_shell():
    subprocess.Popen(["sh", "-c", "sleep 1000 & sleep 1000"])


def start_pool():
    global pool
    pool = FORK.Pool(2)
    pool.apply_async(sleep)


def start_thread():
    threading.Thread(target=sleep, daemon=False).start()


def load_model(code_dir):
    folder = Path(code_dir).parent
    if (folder / "start").exists():
        globals()[(folder / "start").read_text()]()
    while (folder / "hold-load").exists():
        (folder / "loading").touch()
        time.sleep(0.01)
    return "model"


def wait_for_child():
    process = FORK.Process(target=sleep)
    process.start()
    process.join()


def score_unstructured(model, data, **kwargs):
    for name in data.split():
        globals()[name]()
    return str(os.getpid())
'''

STARTS = "start_process start_daemon start_stubborn_process start_program start_shell start_pool start_thread".split()

SETUPS = [("flask", 1), ("gunicorn", 1), ("fastapi", 1), ("fastapi", 2)]

StartServer = Callable[..., RunningServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartServer]:
    """Start a server: its type, the number of workers, then parameters; the fixture kills what it leaves."""
    servers: list[RunningServer] = []
    model = tmp_path / "model"
    model.mkdir()
    (model / "custom.py").write_text(CODE, encoding="utf-8")

    def start(server_type: str, workers: int = 1, ready: str | None = "/readyz", **variables: str) -> RunningServer:
        environment = {
            "DRUM_SERVER_TYPE": server_type,
            "CUSTOM_MODEL_WORKERS": str(workers),
            "DRUM_LAME_DUCK_SECONDS": "0",
            **variables,
        }
        words = ("--code-dir", model, "--target-type", "unstructured")
        server = RunningServer(*words, log=tmp_path / "log", environment=environment, ready=ready)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        for process in descendants(server) if server.process.poll() is None else []:
            process.kill()
        server.kill()


def call(server: RunningServer, names: str) -> int:
    """Call functions of the model; return the id of the process that has called them."""
    headers = {"Content-Type": "text/plain", "Connection": "close"}
    response = server.client.post("/predictUnstructured/", content=names, headers=headers)
    assert response.status_code == 200, response.text
    return int(response.text)


def descendants(server: RunningServer) -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(server.process.pid).children(recursive=True)
    return found


def running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that have not ended; the parent of a zombie has not waited for it."""
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(("server_type", "workers"), SETUPS, ids=lambda value: str(value))
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_processes_and_threads_of_requests_end_with_the_server(
    start: StartServer, server_type: str, workers: int, number: signal.Signals
) -> None:
    server = start(server_type, workers, DRUM_GRACEFUL_TIMEOUT="2")
    call(server, " ".join(STARTS))
    children = descendants(server)
    assert len(children) >= len(STARTS)
    server.send_signal(number)
    assert server.wait() == 0, server.log_end()
    assert running(children) == []


@pytest.mark.parametrize(("server_type", "workers"), SETUPS, ids=lambda value: str(value))
@pytest.mark.parametrize("name", ["start_process", "start_program", "start_pool"])
def test_processes_of_the_load_end_with_the_server(
    start: StartServer, tmp_path: Path, server_type: str, workers: int, name: str
) -> None:
    (tmp_path / "start").write_text(name)
    server = start(server_type, workers)
    children = descendants(server)
    assert children
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0, server.log_end()
    assert running(children) == []


@pytest.mark.parametrize(("server_type", "workers"), SETUPS, ids=lambda value: str(value))
def test_processes_of_an_interrupted_load_end_with_the_server(
    start: StartServer, tmp_path: Path, server_type: str, workers: int
) -> None:
    (tmp_path / "start").write_text("start_program")
    (tmp_path / "hold-load").touch()
    server = start(server_type, workers, ready=None)
    server.wait_until((tmp_path / "loading").exists, "load")
    children = descendants(server)
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0, server.log_end()
    assert running(children) == []


@pytest.mark.parametrize(("server_type", "workers"), SETUPS, ids=lambda value: str(value))
@pytest.mark.parametrize("signals", [1, 2], ids=["graceful-timeout", "second-signal"])
def test_processes_end_with_a_server_whose_request_does_not(
    start: StartServer, server_type: str, workers: int, signals: int
) -> None:
    server = start(server_type, workers, DRUM_GRACEFUL_TIMEOUT="1" if signals == 1 else "60")
    with ThreadPoolExecutor(1) as thread:
        blocked = thread.submit(call, server, "start_program wait_for_child")
        server.wait_until(lambda: sum(child.name() == "sleep" for child in descendants(server)) == 1, "program")
        children = descendants(server)
        server.send_signal(signal.SIGTERM)
        if signals == 2:
            server.wait_until(lambda: server.status("/readyz") != 200, "drain")
            server.send_signal(signal.SIGTERM)
        server.wait()
        blocked.exception()  # the client may get a response when the process that it waits for ends
    assert running(children) == []


@pytest.mark.parametrize("server_type", ["gunicorn", "fastapi"])
def test_processes_of_a_killed_worker_end(start: StartServer, server_type: str) -> None:
    server = start(server_type, 2)
    worker = call(server, "start_process start_daemon start_shell")
    children = psutil.Process(worker).children(recursive=True)
    assert len(children) >= 4
    os.kill(worker, signal.SIGKILL)
    server.wait_until(lambda: running(children) == [], "end of its children")
    assert call(server, "") != worker
    server.stop()
