"""Listening sockets: connections in the backlog are served, and open files are not the limit."""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from datarobot_drum.drum.process.sockets import accept_pending, bind
from tests.processes import RunningServer
from tests.resilience.connections import get


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with bind("127.0.0.1", 0) as listening:
        yield listening


def test_connections_in_the_backlog_are_served_after_the_listener_has_closed(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname(), 10.0) as client:
        (connection,) = accept_pending(listener)
        listener.close()
        with connection:
            client.sendall(b"question")
            assert connection.recv(100) == b"question"
            connection.sendall(b"answer")
            assert client.recv(100) == b"answer"


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_more_connections_than_the_soft_limit_of_open_files(tmp_path: Path) -> None:
    """Each is answered once and then kept: with 64 open files the event loop would reset those beyond."""
    (tmp_path / "custom.py").write_text("def score_unstructured(model, data, query, **kwargs):\n    return data\n")
    command = [sys.executable, "-m", "datarobot_drum", "server", "--address", "127.0.0.1:{port}"]
    limited = ["sh", "-c", 'ulimit -Sn 64; exec "$@"', "sh", *command]
    words = ("--code-dir", tmp_path, "--target-type", "unstructured")
    variables = {"DRUM_SERVER_TYPE": "fastapi"}
    with (
        RunningServer(*words, log=tmp_path / "log", environment=variables, command=limited) as server,
        ExitStack() as kept,
    ):
        for _ in range(200):
            client = kept.enter_context(socket.create_connection(("127.0.0.1", server.port), 10.0))
            client.sendall(get("/livez"))
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
