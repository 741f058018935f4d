"""Servers of the test model, extended by one file."""

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from tests.extensions.model import closed_streams, write_model
from tests.processes import RunningServer

HERE = Path(__file__).parent
FRAMEWORKS = {"flask": "flask", "gunicorn": "flask", "fastapi": "fastapi"}
ENVIRONMENT = {"TARGET_NAME": "answer", "DRUM_LAME_DUCK_SECONDS": "0"}


class ExtendedServer(RunningServer):
    """A server of the test model.

    Args:
        extension: the name of a file in ``fastapi_extensions`` or ``flask_extensions``.
        source: the extension's text instead.
    """

    def __init__(
        self,
        folder: Path,
        server_type: str,
        extension: str | None = None,
        *,
        source: str = "",
        command: Sequence[str] | None = None,
        working_folder: Path | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        framework = FRAMEWORKS[server_type]
        if extension is not None:
            source = (HERE / f"{framework}_extensions" / f"{extension}.py").read_text(encoding="utf-8")
        self._model = write_model(folder / "model", {f"custom_{framework}.py": source} if source else {})
        self._spool = folder / "spool"
        self._spool.mkdir()
        own = ("--code-dir", self._model, "--target-type", "textgeneration") if command is None else ()
        super().__init__(
            *own,
            *arguments,
            log=folder / "log",
            command=command,
            ready=None,
            folder=working_folder,
            environment={
                **ENVIRONMENT,
                "DRUM_SERVER_TYPE": server_type,
                "DRUM_SPOOL_DIRECTORY": str(self._spool),
                "CODE_DIR": str(self._model),
                "TARGET_TYPE": "textgeneration",
            },
        )

    def __enter__(self) -> "ExtendedServer":
        super().__enter__()
        return self

    def wait_ready(self, path: str = "/readyz") -> None:
        """Wait until the model is loaded; an extension may refuse the probe."""
        self.wait_until(lambda: self.status(path) not in (None, 503), f"response from {path}")

    def closed_streams(self) -> int:
        """Return how many endless streams have been closed."""
        return closed_streams(self._model)

    def wait_nothing_left(self) -> None:
        """Wait until no process holds a connection of a client or a temporary file."""
        self.wait_until(self._holds_nothing, "release of connections and files", timeout=20)

    def _holds_nothing(self) -> bool:
        processes = [self._process(), *self._process().children(recursive=True)]
        return not any(_has_connection(process) or _has_file_in(process, self._spool) for process in processes)

    def _process(self) -> psutil.Process:
        return psutil.Process(self.process.pid)


class Servers:
    """Servers by extension, ``""`` for the one without; each is waited for when it is first used."""

    def __init__(self, servers: dict[str, ExtendedServer]) -> None:
        self._servers = servers
        self._ready: set[str] = set()

    def __getitem__(self, extension: str) -> ExtendedServer:
        server = self._servers[extension]
        if extension not in self._ready:
            server.wait_ready()
            self._ready.add(extension)
        return server


@contextmanager
def running_servers(folder: Path, server_type: str, extensions: Iterable[str]) -> Iterator[Servers]:
    """Start and stop all servers at the same time; each that was used must stop cleanly."""
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(ExtendedServer(folder / (name or "plain"), server_type, name or None))
            for name in ("", *extensions)
        }
        yield Servers(servers)
        for server in servers.values():
            if server.process.poll() is None:
                server.send_signal(signal.SIGTERM)
        for server in servers.values():
            assert server.wait() == 0, server.log_end()


def _has_connection(process: psutil.Process) -> bool:
    return any(connection.status == psutil.CONN_ESTABLISHED for connection in process.net_connections("tcp"))


def _has_file_in(process: psutil.Process, folder: Path) -> bool:
    """Also files whose name has been removed: they live as long as their descriptor."""
    descriptors = f"/proc/{process.pid}/fd"
    return any(_target(f"{descriptors}/{name}").startswith(f"{folder}/") for name in os.listdir(descriptors))


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:  # closed since it was listed
        return ""
