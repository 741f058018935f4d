"""The same model on all three servers, each a real process."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.processes import RunningServer

SERVER_TYPES = ["flask", "gunicorn", "fastapi"]

Servers = Mapping[str, RunningServer]
"""A running server by its type."""


@contextmanager
def running_servers(
    logs: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None, settled: int | None = 200
) -> Iterator[Servers]:
    """Three servers that start and stop at the same time; at the end each must stop cleanly.

    They are started once ``/`` responses with the status ``settled``, or with any but 503.
    """
    # Nobody balances load in front of these servers, so they need not wait before they stop.
    variables = {"DRUM_LAME_DUCK_SECONDS": "0", **(environment or {})}
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        all_servers = {}
        for server_type in SERVER_TYPES:
            server = RunningServer(
                *arguments,
                log=logs / f"{server_type}.log",
                environment={**variables, "DRUM_SERVER_TYPE": server_type},
                ready=None,
                prefix=variables.get("URL_PREFIX", ""),
            )
            all_servers[server_type] = stack.enter_context(server)
        for server in all_servers.values():
            server.wait_until(partial(_answers, server, settled), f"{settled or 'an response'} from /")
        yield all_servers
        for server in all_servers.values():
            server.send_signal(signal.SIGTERM)
        for server in all_servers.values():
            assert server.wait() == 0, server.log_end()


def _answers(server: RunningServer, status: int | None) -> bool:
    found = server.status("/")
    return found not in (None, 503) if status is None else found == status
