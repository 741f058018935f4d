"""Responses that the server breaks off, and clients that leave in the middle of one."""

import socket
import struct
from pathlib import Path
from typing import Any

import httpx

from tests.api.streaming_models import has_recorded
from tests.processes import RunningServer


def read_until_abort(server: RunningServer, path: str, **details: Any) -> tuple[int, bytes]:
    """The status and what came of an response that must not come to a proper end."""
    came = b""
    with server.client.stream("POST", path, **details) as response:
        try:
            for piece in response.iter_raw():
                came += piece
        except httpx.RemoteProtocolError:
            return response.status_code, came
    raise AssertionError(f"The response came to an end: {came!r}")


def disconnect_after_first_chunk(server: RunningServer, path: str, **details: Any) -> bytes:
    """Read a little of an endless response and hang up; what was read."""
    with httpx.Client(base_url=server.url, timeout=60.0, trust_env=False) as client:
        with client.stream("POST", path, **details) as response:
            assert response.status_code == 200
            return next(response.iter_raw())


def reset_after_first_byte(server: RunningServer, path: str, body: bytes) -> None:
    """Read a little of an response and drop the connection without a proper end, as a client that crashes does."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        assert connection.recv(1).startswith(b"H")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def wait_until_recorded(server: RunningServer, folder: Path, mark: str) -> None:
    """Wait until the model's ``finally`` block has run."""
    server.wait_until(lambda: has_recorded(folder, mark), f"{mark} in told", timeout=20)
