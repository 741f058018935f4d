"""Processes and threads of the model end with the server, and with a killed worker."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.process.child_processes import STARTS, StartServer, call, descendants, every_setup, running, starting_servers

pytestmark = pytest.mark.process


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartServer]:
    with starting_servers(tmp_path) as start:
        yield start


@every_setup
def test_processes_and_threads_of_requests_end_with_the_server(
    start: StartServer, server_type: str, workers: int
) -> None:
    server = start(server_type, workers, DRUM_GRACEFUL_TIMEOUT="2")
    call(server, " ".join(STARTS))
    children = descendants(server)
    assert len(children) >= len(STARTS)
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0, server.log_end()
    assert running(children) == []


@pytest.mark.parametrize("server_type", ["gunicorn", "fastapi"])
def test_processes_of_a_killed_worker_end(start: StartServer, server_type: str) -> None:
    server = start(server_type, 2)
    worker = call(server, "start_process start_daemon start_shell")
    server.wait_until(lambda: len(psutil.Process(worker).children(recursive=True)) >= 4, "children of the shell")
    children = psutil.Process(worker).children(recursive=True)
    os.kill(worker, signal.SIGKILL)
    server.wait_until(lambda: running(children) == [], "end of its children")
    assert call(server, "") != worker
    server.stop()
