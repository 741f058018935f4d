"""Large, many, slow bodies, and bodies over the disk space: memory is bounded, other requests are served."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import RunningServer
from tests.resilience.conftest import StartServer
from tests.resilience.connections import CSV, Connection, Response, post, post_headers, request_once, rows
from tests.resilience.models import ControlledModel
from tests.resilience.resource_usage import MIB, resource_usage
from tests.resilience.statistics import wait_for, wait_idle
from tests.resilience.uploads import MemoryGrowth, Sent, upload

pytestmark = pytest.mark.process

# The benchmark of uploads sends 8 x 200 MB and 200 x 9 MB.
LARGE = 16 * MIB
MEDIUM = 9 * MIB


async def _grow(
    server: RunningServer, model: ControlledModel, sizes: list[int], sent: Sent
) -> tuple[int, list[Response]]:
    """Send bodies of these sizes while the only thread is blocked; return memory growth and responses."""
    model.hold()
    held = asyncio.ensure_future(request_once(server.port, post(rows(0))))
    await asyncio.to_thread(wait_for, server, running=1)
    async with MemoryGrowth(server.process.pid) as growth:
        uploads = [asyncio.ensure_future(upload(server.port, x, size, sent)) for x, size in enumerate(sizes)]
        await asyncio.to_thread(wait_for, server, running=1, waiting=len(sizes))
    model.release()
    responses = await asyncio.gather(*uploads)
    await held
    return growth.max_bytes, responses


@pytest.mark.parametrize("sent", [Sent.CHUNKED, Sent.FORM], ids=lambda sent: sent.value)
def test_large_bodies_wait_on_disk(start: StartServer, model: ControlledModel, spool: Path, sent: Sent) -> None:
    server = start(FASTAPI_EXECUTOR_WORKERS=1)
    growth, responses = asyncio.run(_grow(server, model, [LARGE] * 8, sent))
    assert [response.prediction for response in responses] == list(range(8))
    assert growth < 64 * MIB
    wait_idle(server)
    assert not resource_usage(server.process.pid, spool).temporary


def test_two_hundred_bodies_at_once_stay_within_the_memory_promise(
    start: StartServer, model: ControlledModel, spool: Path
) -> None:
    server = start(EXECUTOR_WORKERS=1, EXECUTOR_QUEUE_DEPTH=200)
    growth, responses = asyncio.run(_grow(server, model, [MEDIUM] * 200, Sent.WHOLE))
    assert [response.prediction for response in responses] == list(range(200))
    assert growth < 200 * MIB  # of 1,800
    wait_idle(server)
    assert not resource_usage(server.process.pid, spool).temporary


# No disk space


def _limited_files() -> list[str]:
    """``drum server`` that may not make any file larger than 2 MiB (``ulimit`` counts blocks of 512 bytes)."""
    drum = f"exec '{sys.executable}' -m datarobot_drum server --address 127.0.0.1:{{port}} \"$@\""
    return ["sh", "-c", f"ulimit -f 4096; {drum}", "sh"]


@pytest.fixture
def tiny_disk(spool: Path) -> Iterator[None]:
    """A file system of 1 MiB under the spool folder."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", os.fspath(spool)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine does not allow mounts")
    yield
    subprocess.run(["umount", "--lazy", os.fspath(spool)], check=True)


def assert_rejected_for_lack_of_space(server: RunningServer, spool: Path) -> None:
    for sent in Sent:
        response = asyncio.run(upload(server.port, 1, 3 * MIB, sent))
        assert response.status == 507, response
        assert "No room left" in response.json()["message"]
    server.wait_until(lambda: not resource_usage(server.process.pid, spool).temporary, "removal of temporary files")
    assert asyncio.run(request_once(server.port, post(rows(7)))).prediction == 7


@pytest.mark.parametrize("server_type", ["fastapi", "flask"])
def test_a_body_over_the_file_size_limit_gets_507(start: StartServer, spool: Path, server_type: str) -> None:
    server = start(server_type, command=_limited_files(), FASTAPI_MEMORY_BUDGET="64KB")
    assert_rejected_for_lack_of_space(server, spool)


@pytest.mark.usefixtures("tiny_disk")
@pytest.mark.parametrize("server_type", ["fastapi", "flask"])
def test_a_body_over_the_disk_space_gets_507(start: StartServer, spool: Path, server_type: str) -> None:
    server = start(server_type, FASTAPI_MEMORY_BUDGET="64KB")
    assert_rejected_for_lack_of_space(server, spool)


# Slow clients


@pytest.mark.parametrize("server_type", ["fastapi", "flask"])
def test_a_stalled_or_trickling_body_gets_408(start: StartServer, spool: Path, server_type: str) -> None:
    server = start(server_type, FASTAPI_UPLOAD_TIMEOUT=1, FASTAPI_MEMORY_BUDGET="1KB")
    for response in asyncio.run(_send_slow_bodies(server.port)):
        assert response.status == 408, response
        assert "DRUM_UPLOAD_TIMEOUT" in response.json()["message"]
        assert response.headers["connection"] == "close"
    assert asyncio.run(request_once(server.port, post(rows(7)))).prediction == 7
    server.wait_until(lambda: not resource_usage(server.process.pid, spool).temporary, "removal of temporary files")


async def _send_slow_bodies(port: int) -> list[Response]:
    """Send bodies that stop at the start, after a little, after more than memory takes, or that trickle."""
    head = post_headers(CSV, "Content-Length: 100000000")
    chunked = post_headers(CSV, "Transfer-Encoding: chunked") + b"%x\r\n" % LARGE
    stalled = [head, head + b"x\n", chunked, chunked + b"x\n1\n" * 300]
    return list(
        await asyncio.gather(
            *(request_once(port, begun) for begun in stalled), _trickle(port, head), _trickle(port, chunked)
        )
    )


async def _trickle(port: int, begun: bytes) -> Response:
    connection = await Connection.open(port)
    await connection.send(begun)
    response = asyncio.ensure_future(connection.receive())
    while not response.done():
        await connection.send(b"1")
        await asyncio.wait([response], timeout=0.1)
    connection.close()
    return response.result()


@pytest.mark.parametrize("server_type", ["fastapi", "flask"])
def test_slow_clients_do_not_block_others(start: StartServer, model: ControlledModel, server_type: str) -> None:
    server = start(server_type)
    assert asyncio.run(_serve_beside_slow_clients(server.port, slow=200, fast=20)) == list(range(20))
    assert model.ran == list(range(20))


async def _serve_beside_slow_clients(port: int, slow: int, fast: int) -> list[int]:
    """Predictions for ``fast`` clients while ``slow`` ones send a byte a second."""
    connections = [await Connection.open(port) for _ in range(slow)]
    sending = [asyncio.ensure_future(_send_slowly(connection, n)) for n, connection in enumerate(connections)]
    responses = [await request_once(port, post(rows(x))) for x in range(fast)]
    assert not any(sender.done() for sender in sending)
    for sender, connection in zip(sending, connections, strict=True):
        sender.cancel()
        connection.abort()
    return [response.prediction for response in responses]


async def _send_slowly(connection: Connection, number: int) -> None:
    """Half of them are slow from their first byte on, half with the body."""
    request = post(rows(number) + "\n" * 1000)
    begun = 1 if number % 2 else request.index(b"\r\n\r\n") + 5
    await connection.send(request[:begun])
    for byte in request[begun:]:
        await asyncio.sleep(1)
        await connection.send(bytes([byte]))
