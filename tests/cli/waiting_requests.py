"""Requests that stay in flight until a test lets them go."""

import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.processes import PLAIN, RunningServer


class WaitingRequest:
    """A prediction that the model has begun and does not end before ``release``."""

    def __init__(self, gate: Path, answer: "Future[httpx.Response]") -> None:
        self._gate = gate
        self.answer = answer

    def release(self) -> None:
        self._gate.touch()


@contextmanager
def request_in_flight(server: RunningServer, folder: Path) -> Iterator[WaitingRequest]:
    """Send a prediction to a gated model and wait until the model has it; it is let go at the latest on leaving."""
    gate = folder / "gate"
    with ThreadPoolExecutor(1) as thread:
        request = WaitingRequest(gate, thread.submit(predict, server, f"gate\n{gate}\n"))
        try:
            server.wait_until(gate.with_suffix(".entered").exists, "request in the model")
            yield request
        finally:
            request.release()


def predict(server: RunningServer, rows: str = "x\n1\n") -> httpx.Response:
    """A prediction over a connection of its own."""
    return httpx.post(server.url + "/predict/", content=rows, timeout=60.0, **PLAIN)


def wait_draining(server: RunningServer) -> None:
    """Wait until the server has noticed a stop signal and says that it waits for what is in flight."""
    said = ("requests in flight", "Handling signal: term")  # gunicorn says the latter
    server.wait_until(lambda: any(words in server.log() for words in said), "drain")


def accepts(server: RunningServer) -> bool:
    """Whether somebody listens on the server's port."""
    try:
        socket.create_connection(("127.0.0.1", server.port), 10.0).close()
    except ConnectionError:
        return False
    return True
