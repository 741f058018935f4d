"""Liveness and readiness from the table of the workers' states, and the limits that tell hung from busy."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from datarobot_drum.drum.management.hang_limits import READY_SILENCE, HangLimits
from datarobot_drum.drum.management.probes import Probes
from datarobot_drum.drum.management.status import StatusTable, WorkerState, WorkerStatus

LIMITS = HangLimits(idle=60.0, predicting=660.0)
ALIVE = (200, {"status": "alive"})
READY = (200, {"status": "ready"})


class Clock:
    """The clock of the tests: it stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    return clock


@pytest.fixture
def table() -> StatusTable:
    return StatusTable.create()


def worker(table: StatusTable, state: WorkerState = WorkerState.READY) -> WorkerStatus:
    status = table.allocate().claim()
    status.set_state(state)
    return status


def not_ready(reason: str) -> tuple[int, dict[str, object]]:
    return 503, {"status": "not ready", "reason": reason}


def hung(*pids: int) -> tuple[int, dict[str, object]]:
    return 503, {"status": "not alive", "reason": "every worker is hung", "pids": list(pids)}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], not_ready("worker not running")),
        ([WorkerState.LOADING], not_ready("model is loading")),
        ([WorkerState.READY], READY),
        ([WorkerState.NOT_READY], not_ready("model is not ready")),
        ([WorkerState.FAILED], not_ready("model failed to load")),
        ([WorkerState.LOADING, WorkerState.READY], READY),
        ([WorkerState.FAILED, WorkerState.LOADING], not_ready("model is loading")),
    ],
)
def test_one_ready_worker_makes_the_server_ready(
    table: StatusTable, states: list[WorkerState], expected: tuple[int, dict[str, object]]
) -> None:
    for state in states:
        worker(table, state)
    probes = Probes(table, LIMITS)
    assert probes.readiness() == expected
    assert probes.liveness() == ALIVE


def test_a_draining_worker_is_not_ready(table: StatusTable) -> None:
    first, second = worker(table), worker(table)
    probes = Probes(table, LIMITS)
    first.set_draining()
    assert probes.readiness() == READY
    second.set_draining()
    assert probes.readiness() == not_ready("worker not running")
    assert probes.liveness() == ALIVE


def test_a_stopping_server_is_alive_and_not_ready(table: StatusTable) -> None:
    worker(table)
    table.announce_stop()
    probes = Probes(table, LIMITS)
    assert probes.readiness() == not_ready("worker not running")
    assert probes.liveness() == ALIVE


def test_a_silent_worker_is_first_not_ready_and_then_hung(table: StatusTable, clock: Clock) -> None:
    status = worker(table)
    probes = Probes(table, LIMITS)
    clock.now += READY_SILENCE + 1
    assert probes.readiness() == not_ready("worker does not respond")
    assert probes.liveness() == ALIVE
    clock.now += LIMITS.idle - READY_SILENCE
    assert probes.liveness() == hung(os.getpid())
    status.beat()
    assert (probes.liveness(), probes.readiness()) == (ALIVE, READY)


def test_a_silent_worker_with_a_running_prediction_gets_the_request_timeout_on_top(
    table: StatusTable, clock: Clock
) -> None:
    status = worker(table)
    clock.now += LIMITS.idle - 1
    status.set_running(1)
    probes = Probes(table, LIMITS)
    clock.now += LIMITS.predicting - 1
    assert (probes.liveness(), probes.readiness()) == (ALIVE, READY)
    clock.now += 2
    assert probes.liveness() == hung(os.getpid())
    assert probes.readiness() == not_ready("worker does not respond")
    status.set_running(0)
    assert probes.liveness() == ALIVE


@pytest.mark.parametrize(
    "make", [lambda status: status.set_state(WorkerState.LOADING), lambda status: status.set_draining()]
)
def test_a_worker_that_loads_or_drains_is_never_hung(
    table: StatusTable, clock: Clock, make: Callable[[WorkerStatus], None]
) -> None:
    make(worker(table))
    clock.now += 10_000
    assert Probes(table, LIMITS).liveness() == ALIVE


def test_liveness_fails_only_when_every_worker_is_hung(table: StatusTable, clock: Clock) -> None:
    worker(table)
    other = worker(table)
    clock.now += LIMITS.idle + 1
    probes = Probes(table, LIMITS)
    assert probes.liveness() == hung(os.getpid(), os.getpid())
    other.beat()
    assert (probes.liveness(), probes.readiness()) == (ALIVE, READY)


def test_a_server_without_workers_is_alive_for_as_long_as_a_worker_may_be_silent(
    table: StatusTable, clock: Clock
) -> None:
    probes = Probes(table, LIMITS)
    with table.loading():
        clock.now += 10_000
        assert probes.liveness() == ALIVE
        assert probes.readiness() == not_ready("model is loading")
    clock.now += LIMITS.idle - 1
    assert probes.liveness() == ALIVE
    clock.now += 2
    assert probes.liveness() == (503, {"status": "not alive", "reason": "no worker is running", "pids": []})


def test_without_limits_no_worker_is_hung(table: StatusTable, clock: Clock) -> None:
    worker(table)
    clock.now += 1e9
    assert Probes(table, HangLimits(math.inf, math.inf)).liveness() == ALIVE


def test_a_worker_that_was_killed_does_not_count(table: StatusTable) -> None:
    status = table.allocate()
    code = (
        "import sys; from datarobot_drum.drum.management.status import *; table = StatusTable(int(sys.argv[1]));"
        "row = WorkerStatus(table, 0).claim(); row.set_state(WorkerState.READY); print(flush=1);"
        "input()"
    )
    command = [sys.executable, "-c", code, str(table.fd)]
    probes = Probes(table, LIMITS)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(table.fd,)) as process:
        assert process.stdout is not None and process.stdout.readline()
        assert status.pid == process.pid
        assert probes.readiness() == READY
        process.kill()
    assert probes.readiness() == not_ready("worker not running")
