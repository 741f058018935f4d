"""Fake engine processes, and drum servers in front of them."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.api.all_servers import Servers, running_servers
from tests.processes import RunningServer

PROGRAM = Path(__file__).with_name("engine.py")


class RunningEngine(RunningServer):
    """A process of ``engine.py``, ready at start by default."""

    def __init__(self, log: Path, *, port: int | None = None, is_ready: bool = True) -> None:
        super().__init__(log=log, command=[sys.executable, str(PROGRAM), "{port}", str(int(is_ready))], ready=None)
        if port is not None:
            self._command[2] = str(port)
            self.port, self.url = port, f"http://127.0.0.1:{port}"

    def start(self) -> "RunningEngine":
        super().start()
        self.wait_until(lambda: self.status("/control/events") == 200, "a listening engine")
        return self

    def restart(self) -> None:
        """Wait until the process has ended, then start it again."""
        self.process.wait(20)
        self.start()

    def control(self, what: str) -> Any:
        """Call a control route; return the events so far."""
        return json.loads(self.client.get(f"{self.url}/control/{what}").content)

    def wait_event(self, event: str) -> None:
        self.wait_until(lambda: event in self.control("events"), event, timeout=20)

    def __exit__(self, *error: Any) -> None:
        self.kill()


@contextmanager
def engine_servers(
    folder: Path,
    port: int,
    *arguments: str,
    kind: str = "nim",
    code_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Servers]:
    """Run all servers with the engine at ``port`` as their model; without ``code_dir`` the model folder is empty."""
    model = code_dir or folder / "model"
    model.mkdir(exist_ok=True)
    variables = {"TARGET_NAME": "answer", "DRUM_ENGINE_PORT": str(port), "DRUM_ENGINE_HEALTH_INTERVAL": "0.1"}
    words: tuple[str | Path, ...] = ("--code-dir", model, "--gpu-predictor", kind, "--sidecar", *(arguments or TEXT))
    with running_servers(folder / "logs", *words, environment={**variables, **(environment or {})}) as servers:
        yield servers


TEXT = ("--target-type", "textgeneration")
