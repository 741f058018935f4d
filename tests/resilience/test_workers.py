"""Several workers: one that dies, hangs or has served its share is replaced, and a busy one is left alone."""

import asyncio
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.processes import RunningServer
from tests.resilience.conftest import StartServer
from tests.resilience.connections import Connection, Response, get, post, request_once, rows
from tests.resilience.load import ConstantLoad, Outcome
from tests.resilience.models import ControlledModel
from tests.resilience.resource_usage import worker_processes

pytestmark = pytest.mark.process


def pids(server: RunningServer) -> set[int]:
    return set(worker_processes(server.process.pid))


def wait_for_replacement(server: RunningServer, victim: int) -> None:
    """Wait until the victim is gone and two workers are ready, each asked for itself."""
    server.wait_until(lambda: victim not in pids(server) and len(pids(server)) == 2, "replacement")
    server.wait_until(lambda: server.log().count("Model loaded") >= 3, "model in the replacement")


def _worker(server: RunningServer) -> int:
    """Who answers a new connection."""
    return int(asyncio.run(request_once(server.port, post(rows(0, pid=1)))).prediction or 0)


def worker_that_answered(outcome: Outcome) -> int | None:
    """The worker at the other end of a connection, known from the answer before."""
    return outcome.former.prediction if outcome.former is not None else None


NO_PROCESSES = """
import errno
import os
import sys
from multiprocessing.process import BaseProcess

start = BaseProcess.start


def start_if_allowed(process):
    if os.path.exists(sys.argv[1]):
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    start(process)


BaseProcess.start = start_if_allowed
if __name__ == "__main__":
    from datarobot_drum.drum.main import main

    sys.exit(main(["server", *sys.argv[2:]]))
"""


def test_workers_that_cannot_be_started_are_started_later(start: StartServer, tmp_path: Path) -> None:
    limit = tmp_path / "no-processes"
    command = [sys.executable, "-c", NO_PROCESSES, str(limit), "--address", "127.0.0.1:{port}"]
    server = start(command=command, WORKERS=2)
    server.wait_until(lambda: server.log().count("Model loaded") == 2, "two loaded models")
    limit.touch()
    for worker in worker_processes(server.process.pid).values():
        worker.kill()
    server.wait_until(lambda: server.log().count("A worker cannot be started (") >= 3, "failed attempts")
    limit.unlink()
    server.wait_until(lambda: len(pids(server)) == 2 and server.status("/readyz") == 200, "new workers")
    server.stop()


SHORT_PAUSES = """
import sys

from datarobot_drum.drum.uvicorn import restart_pauses

restart_pauses.FIRST_PAUSE = restart_pauses.LONGEST_PAUSE = 0.01
if __name__ == "__main__":
    from datarobot_drum.drum.main import main

    sys.exit(main(["server", *sys.argv[1:]]))
"""


def test_crash_loop_of_workers_ends_the_server_with_its_cause(start: StartServer, model: ControlledModel) -> None:
    with (model.path / "custom.py").open("a") as code:
        code.write("\n\nos._exit(7)\n")
    command = [sys.executable, "-c", SHORT_PAUSES, "--address", "127.0.0.1:{port}"]
    server = start(command=command, ready=None, WORKERS=2)
    assert server.wait(timeout=60) == 1, server.log()
    assert (
        "The workers ended 10 times in a row within 60 s of their start, the last one with exit code 7" in server.log()
    )


def test_only_requests_inside_a_killed_worker_fail(start: StartServer) -> None:
    server = start(WORKERS=2)
    server.wait_until(lambda: server.log().count("Model loaded") == 2, "two loaded models")
    (victim, survivor) = worker_processes(server.process.pid).values()
    with ConstantLoad(server.port, 12, columns={"pid": 1, "seconds": 0.02}) as load:
        load.wait_for(100)
        victim.kill()
        statuses = {server.status("/readyz") for _ in range(20)}
        load.wait_for(100)
        wait_for_replacement(server, victim.pid)
        load.wait_for(200)
    # A probe may have met the dying worker (no answer) or its replacement, which loads its model.
    assert statuses <= {200, 503, None}
    assert {server.status("/readyz") for _ in range(20)} == {200}
    answered = {outcome.response.prediction for outcome in load.outcomes if outcome.response}
    assert {victim.pid, survivor.pid} <= answered and len(answered) <= 3
    assert len(load.failures) <= 12
    for failure in load.failures:
        assert failure.response is None, failure
        assert worker_that_answered(failure) in (victim.pid, None), failure


def test_a_hung_worker_is_killed_and_replaced(start: StartServer) -> None:
    server = start(WORKERS=2, FASTAPI_WORKER_TIMEOUT=2)
    (victim, _) = worker_processes(server.process.pid).values()
    for pid in pids(server):
        server.wait_until(lambda: _worker(server) == pid, "prediction of each worker")  # noqa: B023
    victim.suspend()
    wait_for_replacement(server, victim.pid)
    assert f"Worker {victim.pid} hangs" in server.log()
    assert asyncio.run(request_once(server.port, post(rows(7)))).prediction == 7
    server.stop()


def test_a_worker_that_holds_the_gil_while_it_loads_or_predicts_is_left_alone(
    start: StartServer, model: ControlledModel
) -> None:
    model.hold_gil_while_loading(3)
    server = start(WORKERS=2, FASTAPI_WORKER_TIMEOUT=1)
    server.wait_until(lambda: server.log().count("Model loaded") == 2, "two loaded models")
    former = pids(server)
    with ThreadPoolExecutor(2) as threads:
        asked = [
            threads.submit(asyncio.run, request_once(server.port, post(rows(1, hold_gil=3, pid=1)))) for _ in range(2)
        ]
        assert {call.result().prediction for call in asked} <= former
    assert pids(server) == former
    assert "hangs" not in server.log()


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_are_replaced_after_their_share_of_requests_without_a_failure(start: StartServer, workers: int) -> None:
    parameters = {"FASTAPI_MAX_REQUESTS": 60, "FASTAPI_MAX_REQUESTS_JITTER": 20, "LAME_DUCK_SECONDS": 0.5}
    server = start(WORKERS=workers, **parameters)
    former = pids(server)
    with ConstantLoad(server.port, 6, columns={"pid": 1, "seconds": 0.01}) as load:
        server.wait_until(lambda: not pids(server) & former, "new workers")
        load.wait_for(60)
    assert load.failures == []
    assert len({outcome.response.prediction for outcome in load.outcomes if outcome.response}) > workers


def test_each_worker_speaks_for_itself(start: StartServer, tmp_path: Path) -> None:
    server = start(WORKERS=2)
    server.wait_until(lambda: server.log().count("Model loaded") == 2, "two loaded models")
    told = asyncio.run(_ask_both(server))
    assert set(told) == pids(server)
    for completed, statistics in told.values():
        assert statistics["executor_completed"] == completed
        listed = {process["pid"] for process in statistics["drum_info"]}
        assert listed == {server.process.pid, *told}


async def _ask_both(server: RunningServer) -> dict[int, tuple[int, dict[str, Any]]]:
    """By worker: how many predictions it made, and what it then said of itself over the same connection."""
    connections: list[Connection] = []
    first: list[Response] = []
    while len({answer.prediction for answer in first}) < 2 and len(connections) < 200:
        connections.append(await Connection.open(server.port))
        first.append(await connections[-1].request(post(rows(0, pid=1))))
    told = {}
    for connection, answer in zip(connections, first, strict=True):
        made = sum(other.prediction == answer.prediction for other in first)
        told[answer.prediction] = (made, (await connection.request(get("/stats/"))).json())
        connection.close()
    return told


def test_a_stop_of_one_worker_does_not_stop_the_others(start: StartServer) -> None:
    server = start(WORKERS=2)
    server.wait_until(lambda: server.log().count("Model loaded") == 2, "two loaded models")
    (leaving, _) = worker_processes(server.process.pid).values()
    with ConstantLoad(server.port, 4, keep_alive=False, columns={"seconds": 0.01}) as load:
        load.wait_for(20)
        leaving.send_signal(signal.SIGTERM)
        wait_for_replacement(server, leaving.pid)
        load.wait_for(40)
    assert load.failures == []


def test_what_is_in_flight_is_answered_when_the_supervisor_dies(start: StartServer, model: ControlledModel) -> None:
    server = start(WORKERS=2)
    model.hold()
    with ThreadPoolExecutor(1) as thread:
        held = thread.submit(asyncio.run, request_once(server.port, post(rows(7))))
        server.wait_until(lambda: model.ran == [7], "prediction in the model")
        server.send_signal(signal.SIGKILL)
        server.process.wait()
        model.release()
        assert held.result().prediction == 7
    assert server.wait() == -signal.SIGKILL


def test_connections_that_are_opened_at_once_go_to_both_workers(start: StartServer) -> None:
    server = start(WORKERS=2)
    server.wait_until(lambda: server.log().count("Model loaded") == 2, "two loaded models")
    for pid in pids(server):
        server.wait_until(lambda: _worker(server) == pid, "prediction of each worker")  # noqa: B023
    assert set(asyncio.run(_workers_of_kept_connections(server, 64))) == pids(server)
    server.stop()


async def _workers_of_kept_connections(server: RunningServer, count: int) -> list[int]:
    connections = await asyncio.gather(*(Connection.open(server.port) for _ in range(count)))
    answers = await asyncio.gather(*(connection.request(post(rows(0, pid=1))) for connection in connections))
    for connection in connections:
        connection.close()
    return [answer.prediction for answer in answers]
