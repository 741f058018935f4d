"""The table of the workers' states: rows are reserved, passed on to other processes, and used again."""

import multiprocessing
import os

from datarobot_drum.drum.management.status import ROWS, StatusTable, WorkerState, WorkerStatus


def report(status: WorkerStatus) -> None:
    status.claim()
    status.set_state(WorkerState.READY)
    status.set_running(3)
    status.set_draining()


def test_a_spawned_worker_reports_in_its_row() -> None:
    table = StatusTable.create()
    statuses = [table.allocate() for _ in range(2)]
    process = multiprocessing.get_context("spawn").Process(target=report, args=(statuses[1],))
    process.start()
    process.join()
    assert statuses[1].pid == process.pid
    assert (statuses[1].state, statuses[1].running, statuses[1].is_draining) == (WorkerState.READY, 3, True)
    assert (statuses[0].state, statuses[0].running, statuses[0].is_draining) == (WorkerState.LOADING, 0, False)


def test_a_released_row_starts_afresh_with_its_next_worker() -> None:
    table = StatusTable.create()
    first = table.allocate().claim()
    first.set_state(WorkerState.FAILED)
    first.set_running(1)
    first.set_draining()
    first.release()
    second = table.allocate().claim()
    assert first.pid == second.pid == os.getpid()
    assert (second.state, second.running, second.is_draining) == (WorkerState.LOADING, 0, False)


def test_a_reserved_row_is_no_worker_and_goes_to_no_other() -> None:
    table = StatusTable.create()
    table.allocate()
    assert table.workers() == []
    table.allocate().claim()
    assert [worker.pid for worker in table.workers()] == [os.getpid()]


def test_workers_beyond_the_rows_run_unreported() -> None:
    table = StatusTable.create()
    for _ in range(ROWS):
        table.allocate().claim()
    report(table.allocate())
    assert len(table.workers()) == ROWS
    assert not any(worker.running for worker in table.workers())
