"""Probes on a management port."""

import http.client
import json
from dataclasses import dataclass
from typing import Any

import psutil

from tests.processes import RunningServer, free_port
from tests.resilience.conftest import StartServer

PROCESS = "datarobot_drum.drum.management.process"


@dataclass(frozen=True)
class ProbeResponse:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.content)
        return body


def request(port: int, path: str, method: str = "GET") -> ProbeResponse:
    """Send a request to a management port on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30.0)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return ProbeResponse(response.status, dict(response.headers), response.read())
    finally:
        connection.close()


class ManagedServer:
    """A running server and its management port."""

    def __init__(self, start: StartServer, server_type: str = "fastapi", **parameters: object) -> None:
        self.port = free_port()
        self.server: RunningServer = start(server_type, MANAGEMENT_PORT=self.port, **parameters)

    def probe(self, path: str) -> ProbeResponse:
        return request(self.port, path)

    def wait_for(self, path: str, status: int, body: dict[str, Any]) -> None:
        """Wait until the management port answers so; until it listens, it answers nothing."""
        self.server.wait_until(lambda: self._is(path, status, body), f"{status} {body} from {path}")

    def _is(self, path: str, status: int, body: dict[str, Any]) -> bool:
        try:
            response = self.probe(path)
        except OSError:
            return False
        return (response.status, response.body) == (status, body)

    def process(self) -> psutil.Process:
        """The process of the management port."""
        (found,) = [process for process in self._children() if PROCESS in process.cmdline()]
        return found

    def workers(self) -> list[psutil.Process]:
        """The processes of a supervisor's or gunicorn's workers."""
        helpers = (PROCESS, "resource_tracker")
        return [
            process for process in self._children() if not any(name in " ".join(process.cmdline()) for name in helpers)
        ]

    def _children(self) -> list[psutil.Process]:
        children: list[psutil.Process] = psutil.Process(self.server.process.pid).children()
        return children
