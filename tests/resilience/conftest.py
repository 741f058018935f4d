"""Servers with the controlled model, one for each test, since tests block or kill their server."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.processes import RunningServer
from tests.resilience.models import ControlledModel

StartServer = Callable[..., RunningServer]


@pytest.fixture
def model(tmp_path: Path) -> ControlledModel:
    return ControlledModel(tmp_path)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The folder of the servers' temporary files."""
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def start(tmp_path: Path, model: ControlledModel, spool: Path) -> Iterator[StartServer]:
    """Start a server: its type, then parameters by name without ``DRUM_``. The fixture kills servers that still run."""
    servers: list[RunningServer] = []

    def start(
        server_type: str = "fastapi",
        *,
        command: list[str] | None = None,
        ready: str | None = "/readyz",
        arguments: Sequence[str] = (),
        **parameters: object,
    ) -> RunningServer:
        environment = {f"DRUM_{name}": str(value) for name, value in parameters.items()}
        environment = {
            "DRUM_LAME_DUCK_SECONDS": "0",
            "DRUM_SPOOL_DIRECTORY": os.fspath(spool),
            "DRUM_SERVER_TYPE": server_type,
            "CUSTOM_MODEL_WORKERS": environment.pop("DRUM_WORKERS", "1"),
            **environment,
        }
        words: tuple[str | Path, ...] = ("--code-dir", model.path, "--target-type", "regression", *arguments)
        server = RunningServer(*words, log=tmp_path / "log", environment=environment, command=command, ready=ready)
        servers.append(server)
        return server.start()

    yield start
    model.release()
    for server in servers:
        server.kill()
