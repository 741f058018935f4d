"""The same model on all three servers, each in a process of its own."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.processes import RunningServer

SERVER_TYPES = ["flask", "gunicorn", "fastapi"]
FRAMEWORKS = ["flask", "fastapi"]
"""For what the framework decides: gunicorn runs the app that Flask's server runs, and its start costs the most."""

Servers = Mapping[str, RunningServer]
"""Running servers by their type."""


@contextmanager
def running_servers(
    logs: Path,
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    ready_status: int | None = 200,
    server_types: Sequence[str] = SERVER_TYPES,
) -> Iterator[Servers]:
    """Start servers at the same time; stop them together and fail if one does not exit with 0.

    A server has started once ``/`` responds with ``ready_status``, or for None with any status but 503.
    """
    # No load balancer is in front of these servers, so they need not wait before they stop.
    variables = {"DRUM_LAME_DUCK_SECONDS": "0", **(environment or {})}
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        servers = {}
        for server_type in server_types:
            server = RunningServer(
                *arguments,
                log=logs / f"{server_type}.log",
                environment={**variables, "DRUM_SERVER_TYPE": server_type},
                ready=None,
                prefix=variables.get("URL_PREFIX", ""),
            )
            servers[server_type] = stack.enter_context(server)
        for server in servers.values():
            server.wait_until(partial(_responds, server, ready_status), f"{ready_status or 'a response'} from /")
        yield servers
        for server in servers.values():
            server.send_signal(signal.SIGTERM)
        for server in servers.values():
            assert server.wait() == 0, server.log_end()


def _responds(server: RunningServer, status: int | None) -> bool:
    found = server.status("/")
    return found not in (None, 503) if status is None else found == status
