"""Responses that the server aborts, and clients that disconnect within a response."""

import socket
import struct
from pathlib import Path
from typing import Any

import httpx

from tests.api.streaming_models import has_recorded
from tests.processes import RunningServer


def read_until_abort(server: RunningServer, path: str, **details: Any) -> tuple[int, bytes]:
    """Return status and received bytes of a response that has to be aborted."""
    received = b""
    with server.client.stream("POST", path, **details) as response:
        try:
            for chunk in response.iter_raw():
                received += chunk
        except httpx.RemoteProtocolError:
            return response.status_code, received
    raise AssertionError(f"The response came to an end: {received!r}")


def disconnect_after_first_chunk(server: RunningServer, path: str, **details: Any) -> bytes:
    """Read one chunk of an endless response, disconnect, and return the chunk."""
    with httpx.Client(base_url=server.url, timeout=60.0, trust_env=False) as client:
        with client.stream("POST", path, **details) as response:
            assert response.status_code == 200
            return next(response.iter_raw())


def reset_after_first_byte(server: RunningServer, path: str, body: bytes) -> None:
    """Read one byte of a response and reset the connection, as a client that crashes does."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        headers = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(headers.encode() + body)
        assert connection.recv(1).startswith(b"H")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def wait_until_recorded(server: RunningServer, folder: Path, mark: str) -> None:
    """Wait until the model's ``finally`` block has run."""
    server.wait_until(lambda: has_recorded(folder, mark), f"record of {mark}", timeout=20)
