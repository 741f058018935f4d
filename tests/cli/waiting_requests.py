"""Requests that stay in flight until a test releases them."""

import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.processes import PLAIN, RunningServer


class WaitingRequest:
    """A prediction that runs until ``release``."""

    def __init__(self, gate: Path, response: "Future[httpx.Response]") -> None:
        self._gate = gate
        self.response = response

    def release(self) -> None:
        self._gate.touch()


@contextmanager
def request_in_flight(server: RunningServer, folder: Path) -> Iterator[WaitingRequest]:
    """Send a prediction to a gated model, wait until it runs, and release it at the end."""
    gate = folder / "gate"
    with ThreadPoolExecutor(1) as thread:
        request = WaitingRequest(gate, thread.submit(predict, server, f"gate\n{gate}\n"))
        try:
            server.wait_until(gate.with_suffix(".entered").exists, "request in the model")
            yield request
        finally:
            request.release()


def predict(server: RunningServer, rows: str = "x\n1\n") -> httpx.Response:
    """Send a prediction over a new connection."""
    return httpx.post(server.url + "/predict/", content=rows, timeout=60.0, **PLAIN)


def wait_draining(server: RunningServer) -> None:
    """Wait until the server logs that it drains."""
    messages = ("requests in flight", "Handling signal: term")  # the latter is gunicorn's
    server.wait_until(lambda: any(words in server.log() for words in messages), "drain")


def accepts(server: RunningServer) -> bool:
    """Return True if the server's port accepts connections."""
    try:
        socket.create_connection(("127.0.0.1", server.port), 10.0).close()
    except ConnectionError:
        return False
    return True
