"""Processes of the model end with a server that loads, that a request blocks, or that gets a second signal."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.process.child_processes import StartServer, call, descendants, every_setup, running, starting_servers

pytestmark = pytest.mark.process


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartServer]:
    with starting_servers(tmp_path) as start:
        yield start


@every_setup
def test_processes_of_the_load_end_with_the_server(
    start: StartServer, tmp_path: Path, server_type: str, workers: int
) -> None:
    (tmp_path / "start").write_text("start_process start_stubborn_program start_pool")
    server = start(server_type, workers)
    children = descendants(server)
    assert children
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0, server.log_end()
    assert running(children) == []


@every_setup
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


@every_setup
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
            server.wait_until(lambda: "Handling signal" in server.log() or server.status("/readyz") != 200, "drain")
            server.send_signal(signal.SIGTERM)
        server.wait()
        blocked.exception()  # the client may get a response when the process that it waits for ends
    assert running(children) == []
