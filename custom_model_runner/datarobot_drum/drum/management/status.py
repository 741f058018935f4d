"""The state and the metrics of each worker, in memory that all processes of one server share.

Shared memory, not messages: a worker that holds the GIL or was killed cannot block a reader, and a restarted reader
finds everything there. Each cell has one writer and 8 aligned bytes, so no lock is needed.
"""

import mmap
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum, auto
from typing import Any

from datarobot_drum.drum.serving.metrics.families import CELLS, gauge_cells
from datarobot_drum.drum.serving.metrics.recorder import Cells, ServerCells, WorkerCells, share_cells
from datarobot_drum.drum.serving.slow_calls import reports


class WorkerState(IntEnum):
    """How far a worker is with its model."""

    LOADING = 0
    READY = auto()
    NOT_READY = auto()
    """The model is loaded; its own readiness probe fails."""
    FAILED = auto()


class _Cell(IntEnum):
    """The cells of a row; another figure of a worker is another cell."""

    PID = 0
    HEARTBEAT = auto()
    STATE = auto()
    DRAINING = auto()
    RUNNING = auto()


ROWS = 256
"""Workers at most, those included that drain while their replacements start."""

_RESERVED = -1.0
_STOPPING, _RESTARTS, _START_TIME, _USED_ROWS = range(4)
_HEADER = 4
_METRICS = _HEADER + ROWS * len(_Cell)
"""The first of the cells for metrics, which are so many for each row."""
_CELL_BYTES = 8
_REPORTS = _METRICS + ROWS * CELLS
"""The first of the cells for reports of slow predictions. Memory that no worker writes takes no space."""
_REPORT_CELLS = reports.BYTES // _CELL_BYTES
_SIZE = (_REPORTS + ROWS * _REPORT_CELLS) * _CELL_BYTES


class WorkerStatus:
    """One row of the table: written by its worker, read by the supervisor and the management port."""

    def __init__(self, table: "StatusTable", index: int) -> None:
        self._table = table
        self._index = index

    def __reduce__(self) -> tuple[Callable[..., "WorkerStatus"], tuple[Any, int]]:
        """Pass the row to a process that multiprocessing spawns."""
        from multiprocessing import reduction

        return _inherit, (reduction.DupFd(self._table.fd), self._index)

    # The process that starts the worker

    def reset(self) -> "WorkerStatus":
        """Reserve the row for a worker that is about to start. Its counters go on where the last worker ended."""
        metrics = self.metrics
        for cell in gauge_cells():
            metrics[cell] = 0.0
        for cell in (_Cell.DRAINING, _Cell.RUNNING):
            self._set(cell, 0)
        self._set(_Cell.STATE, WorkerState.LOADING)
        self.beat()
        self._set(_Cell.PID, _RESERVED)
        return self

    def release(self) -> None:
        """Free the row: its worker has ended."""
        self._set(_Cell.PID, 0)

    # The worker

    def claim(self) -> "WorkerStatus":
        """Make the row that of the calling process, which records its metrics there from now on."""
        self.beat()
        share_cells(self.metrics, self._table.metrics)
        reports.share_reports(self.reports)
        self._set(_Cell.PID, os.getpid())
        return self

    def beat(self) -> None:
        """Record that the worker's loop turns."""
        self._set(_Cell.HEARTBEAT, time.monotonic())

    def set_state(self, state: WorkerState) -> None:
        self._set(_Cell.STATE, state)

    def set_draining(self) -> None:
        """Record that the worker is about to end. Takes no lock, so a signal handler may call it."""
        self._set(_Cell.DRAINING, 1)

    def set_running(self, running: int) -> None:
        """Record how many predictions run; to be called before the first one can take the GIL."""
        if self.state is WorkerState.LOADING:
            self.set_state(WorkerState.READY)  # the next heartbeat may be too late to tell a hang
        if not running or not self.running:
            self.beat()  # from here on another limit applies
        self._set(_Cell.RUNNING, running)

    # Readers

    @property
    def metrics(self) -> Cells:
        """The cells of the worker's metrics."""
        first = _METRICS + self._index * CELLS
        return self._table.cells[first : first + CELLS]

    @property
    def reports(self) -> reports.Memory:
        """The memory of reports of slow predictions; those of the last worker stay until they are overwritten."""
        first = _REPORTS + self._index * _REPORT_CELLS
        return self._table.cells[first : first + _REPORT_CELLS].cast("B")

    @property
    def pid(self) -> int:
        """The worker's process id; 0 or less while the row has no worker."""
        return int(self._get(_Cell.PID))

    @property
    def is_live(self) -> bool:
        """Whether the row has a worker, and its process exists."""
        return self.pid > 0 and _exists(self.pid)

    @property
    def state(self) -> WorkerState:
        return WorkerState(int(self._get(_Cell.STATE)))

    @property
    def is_draining(self) -> bool:
        return bool(self._get(_Cell.DRAINING))

    @property
    def running(self) -> int:
        """Predictions that run now."""
        return int(self._get(_Cell.RUNNING))

    def server_is_stopping(self) -> bool:
        """Return whether the whole server stops, not this worker alone."""
        return self._table.is_stopping

    def silence(self) -> float:
        """Return the seconds since the last heartbeat; the clock is the same in every process of a machine."""
        return time.monotonic() - self._get(_Cell.HEARTBEAT)

    def _get(self, cell: _Cell) -> float:
        return self._table.cells[_HEADER + self._index * len(_Cell) + cell]

    def _set(self, cell: _Cell, value: float) -> None:
        self._table.cells[_HEADER + self._index * len(_Cell) + cell] = value


class StatusTable:
    """The rows of all workers of a server, and whether the whole server stops.

    Args:
        fd: of the memory, as ``create`` made it; other processes inherit it.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.cells = memoryview(mmap.mmap(fd, _SIZE)).cast("d")

    @classmethod
    def create(cls) -> "StatusTable":
        """Make an empty table, for the process that owns the server."""
        if sys.platform == "linux":
            fd = os.memfd_create("drum-status")
        else:
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, _SIZE)
        table = cls(fd)
        table.cells[_START_TIME] = time.time()
        return table

    def allocate(self) -> WorkerStatus:
        """Reserve a free row; to be called by the process that starts the workers.

        With none free, the row belongs to a table that nothing reads: that worker is not reported.
        """
        for index, row in enumerate(self._rows()):
            if row.pid == 0:
                self.cells[_USED_ROWS] = max(self.cells[_USED_ROWS], index + 1)
                return row.reset()
        return StatusTable.create().allocate()

    def workers(self) -> list[WorkerStatus]:
        """Return the rows whose process exists."""
        return [row for row in self._rows() if row.is_live]

    def count_restart(self) -> None:
        """Record that a worker has ended, in the process that starts another one."""
        self.cells[_RESTARTS] += 1.0

    def metrics(self) -> ServerCells:
        """Return the metrics of all workers so far."""
        used = (WorkerStatus(self, index) for index in range(int(self.cells[_USED_ROWS])))
        workers = tuple(WorkerCells(row.metrics, row.is_live) for row in used)
        return ServerCells(workers, int(self.cells[_RESTARTS]), self.cells[_START_TIME])

    def slow_calls(self) -> list[dict[str, Any]]:
        """Return the last reports of slow predictions of all workers, the newest first."""
        used = (WorkerStatus(self, index) for index in range(int(self.cells[_USED_ROWS])))
        return reports.read_reports((row.reports, row.pid if row.is_live else None) for row in used)

    @property
    def is_stopping(self) -> bool:
        return bool(self.cells[_STOPPING])

    def announce_stop(self) -> None:
        """Record that the whole server stops. Takes no lock, so a signal handler may call it."""
        self.cells[_STOPPING] = 1.0

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Report this process as a worker that loads its model, for the ``with`` block."""
        status = self.allocate().claim()
        try:
            yield
        finally:
            status.release()

    def _rows(self) -> Iterator[WorkerStatus]:
        return (WorkerStatus(self, index) for index in range(ROWS))


def _inherit(fd: Any, index: int) -> WorkerStatus:
    return WorkerStatus(StatusTable(fd.detach()), index)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
