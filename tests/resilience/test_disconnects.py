"""Clients that disconnect at any point: their queue entry is freed, their call never starts, nothing leaks."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.processes import RunningServer
from tests.resilience.conftest import StartServer
from tests.resilience.connections import Connection, post, request_each, request_once, rows
from tests.resilience.disconnect_load import CLIENTS, send_disconnecting_clients
from tests.resilience.models import ControlledModel
from tests.resilience.resource_usage import ResourceUsage, resource_usage, worker_processes
from tests.resilience.statistics import stats, wait_for, wait_idle

pytestmark = pytest.mark.process

WORKERS = 3
POOLS = WORKERS + 4 + 2
"""Threads that a FastAPI server starts on demand: for predictions, disk writes and statistics."""

PADDING = 200_000
# Bodies over the budget go to disk, so small bodies use files, too.
PARAMETERS = {"FASTAPI_EXECUTOR_WORKERS": WORKERS, "FASTAPI_MEMORY_BUDGET": "256KB"}


def wait_for_resource_usage(server: RunningServer, pid: int, spool: Path, former: ResourceUsage, threads: int) -> None:
    """Wait until the process uses no more than ``former``, temporary files included."""

    def is_back() -> bool:
        now = resource_usage(pid, spool)
        return now.descriptors <= former.descriptors and now.threads <= threads and now.temporary == former.temporary

    try:
        server.wait_until(is_back, "former resource usage", timeout=20)
    except AssertionError:
        raise AssertionError(f"{resource_usage(pid, spool)} after {former}, at most {threads} threads") from None


@pytest.mark.parametrize("seconds", [0.0, 0.01], ids=["fast model", "slow model"])
def test_disconnecting_clients_leak_nothing(start: StartServer, spool: Path, seconds: float) -> None:
    server = start(**PARAMETERS)
    fresh = resource_usage(server.process.pid, spool)
    send_disconnecting_clients(server.port, CLIENTS, columns={"seconds": seconds}, padding=PADDING, seed=1)
    final = wait_idle(server)
    assert final["executor_rejected"] == 0
    server.client.close()
    wait_for_resource_usage(server, server.process.pid, spool, fresh, fresh.threads + POOLS)
    assert asyncio.run(request_once(server.port, post(rows(7)))).prediction == 7


def test_rejected_clients_leak_nothing(start: StartServer, model: ControlledModel, spool: Path) -> None:
    server = start(**PARAMETERS, FASTAPI_EXECUTOR_QUEUE_TIMEOUT=0)
    fresh = resource_usage(server.process.pid, spool)
    model.hold()
    with ThreadPoolExecutor(1) as thread:
        blocked = thread.submit(asyncio.run, request_each(server.port, [post(rows(x)) for x in range(WORKERS)]))
        wait_for(server, running=WORKERS)
        send_disconnecting_clients(server.port, CLIENTS // 2, columns={}, padding=PADDING, seed=2)
        refused = asyncio.run(request_each(server.port, [post(rows(9) + "\n" * PADDING)] * 100))
        assert {response.status for response in refused} == {503}
        assert stats(server)["executor_running"] == WORKERS
        model.release()
        assert {response.status for response in blocked.result()} == {200}
    assert wait_idle(server)["executor_completed"] == WORKERS
    assert sorted(model.ran) == list(range(WORKERS))
    server.client.close()
    wait_for_resource_usage(server, server.process.pid, spool, fresh, fresh.threads + POOLS)
    assert asyncio.run(request_once(server.port, post(rows(7)))).prediction == 7


@pytest.mark.parametrize("server_type", ["flask", "gunicorn"])
def test_disconnecting_clients_leak_nothing_on_the_other_servers(
    start: StartServer, spool: Path, server_type: str
) -> None:
    server = start(server_type, **PARAMETERS)
    (pid,) = worker_processes(server.process.pid) or [server.process.pid]
    fresh = resource_usage(pid, spool)
    send_disconnecting_clients(server.port, CLIENTS // 4, columns={}, padding=PADDING, seed=3)
    server.client.close()
    wait_for_resource_usage(server, pid, spool, fresh, fresh.threads)
    assert asyncio.run(request_once(server.port, post(rows(7)))).prediction == 7


@pytest.mark.parametrize("closing", [True, False], ids=["closed", "reset"])
def test_a_disconnect_while_queued_cancels_the_call(
    start: StartServer, model: ControlledModel, spool: Path, closing: bool
) -> None:
    server = start(FASTAPI_EXECUTOR_WORKERS=1, FASTAPI_MEMORY_BUDGET="64KB")
    model.hold()
    with ThreadPoolExecutor(1) as thread:
        blocked = thread.submit(asyncio.run, request_once(server.port, post(rows(1))))
        wait_for(server, running=1)
        asyncio.run(_disconnect_while_queued(server, 20, closing=closing))
        assert wait_for(server, running=1, waiting=0)["executor_cancelled"] == 20
        assert not resource_usage(server.process.pid, spool).temporary
        model.release()
        assert blocked.result().prediction == 1
    assert asyncio.run(request_once(server.port, post(rows(7)))).prediction == 7
    assert wait_idle(server)["executor_completed"] == 2
    assert model.ran == [1, 7]


async def _disconnect_while_queued(server: RunningServer, clients: int, *, closing: bool) -> None:
    connections = [await Connection.open(server.port) for _ in range(clients)]
    for connection in connections:
        await connection.send(post(rows(2) + "\n" * PADDING))
    await asyncio.to_thread(wait_for, server, running=1, waiting=clients)
    for connection in connections:
        connection.close() if closing else connection.abort()


def test_a_running_call_keeps_its_slot_after_a_disconnect(
    start: StartServer, model: ControlledModel, spool: Path
) -> None:
    server = start(FASTAPI_EXECUTOR_WORKERS=2, FASTAPI_MEMORY_BUDGET="64KB", FASTAPI_EXECUTOR_QUEUE_TIMEOUT=0)
    model.hold()
    asyncio.run(_disconnect_while_running(server, 2))
    # The clients have disconnected, but the calls still occupy both threads.
    assert asyncio.run(request_once(server.port, post(rows(3)))).status == 503
    assert stats(server)["executor_running"] == 2
    model.release()
    assert wait_idle(server)["executor_completed"] == 2
    assert not resource_usage(server.process.pid, spool).temporary
    assert asyncio.run(request_once(server.port, post(rows(7)))).prediction == 7


async def _disconnect_while_running(server: RunningServer, clients: int) -> None:
    connections = [await Connection.open(server.port) for _ in range(clients)]
    for connection in connections:
        await connection.send(post(rows(2) + "\n" * PADDING))
    await asyncio.to_thread(wait_for, server, running=clients)
    for connection in connections:
        connection.abort()
