"""The same model on all three servers, each a real process."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.processes import RunningServer

SERVER_TYPES = ["flask", "gunicorn", "fastapi"]

Trio = Mapping[str, RunningServer]
"""A running server by its type."""


@contextmanager
def running_trio(
    logs: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None, ready: str = "/readyz"
) -> Iterator[Trio]:
    """Three servers that start at the same time; at the end each must stop cleanly."""
    variables = dict(environment or {})
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        trio = {}
        for server_type in SERVER_TYPES:
            server = RunningServer(
                *arguments,
                log=logs / f"{server_type}.log",
                environment={**variables, "DRUM_SERVER_TYPE": server_type},
                ready=None,
                prefix=variables.get("URL_PREFIX", ""),
            )
            trio[server_type] = stack.enter_context(server)
        for server in trio.values():
            server.wait_ready(ready)
        yield trio
        for server in trio.values():
            server.stop()
