"""Shared fixtures: a server that runs the model of this folder."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1]
START_SECONDS = 60


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Start the server, wait until the model is loaded, and yield its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "datarobot_drum", "server", "--code-dir", str(FOLDER), "--address", address]
    command += ["--runtime-params-file", str(FOLDER / "parameters.yaml")]
    # No load balancer sends requests here, so the server need not wait for one when it stops.
    process = subprocess.Popen(command, env={**os.environ, "DRUM_LAME_DUCK_SECONDS": "0"})
    try:
        _wait_until_ready(process, f"http://{address}/")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(url):
        assert process.poll() is None, "the server has exited: see the last line of its output"
        assert time.monotonic() < deadline, "the server did not become ready"
        time.sleep(0.1)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
