"""Servers of a model that starts processes and threads that do not end by themselves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.processes import RunningServer, has_ended

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


def start_stubborn_program():
    subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 1000"], start_new_session=True)


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
        for name in (folder / "start").read_text().split():
            globals()[name]()
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
every_setup = pytest.mark.parametrize(("server_type", "workers"), SETUPS, ids=lambda value: str(value))

StartServer = Callable[..., RunningServer]


@contextmanager
def starting_servers(folder: Path) -> Iterator[StartServer]:
    """Start a server: its type, the number of workers, then parameters; at the end, kill what it leaves."""
    servers: list[RunningServer] = []
    model = folder / "model"
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
        server = RunningServer(*words, log=folder / "log", environment=environment, ready=ready)
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
    return [process for process in processes if not has_ended(process)]
