"""Records the facts of requests and predictions in the cells of this worker.

A record is a few writes to memory, so it needs no library, file or system call. Counters go on where the last worker
with these cells has ended, even by SIGKILL, so they never fall.
"""

import json
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from datarobot_drum.drum.serving.metrics import families
from datarobot_drum.drum.serving.metrics.families import CELL_BYTES, CELLS, Family

Cells: TypeAlias = "memoryview[float]"
"""Doubles that one worker writes and others read."""

SAMPLE_SECONDS = 1.0

_KEY_FACTOR = 1000
"""A pair of route and status as one number, greater than 0: the index of the route + 1, times this, + status."""

_PROC = Path("/proc/self")


def new_cells() -> Cells:
    """Return cells that no other process sees."""
    return memoryview(bytearray(CELLS * CELL_BYTES)).cast("d")


@dataclass(frozen=True)
class WorkerCells:
    """The cells of one worker; those of one that has ended keep its counters."""

    cells: Cells
    is_live: bool


@dataclass(frozen=True)
class ServerCells:
    """The cells of all workers of a server, the number of replaced workers and the time of the start."""

    workers: tuple[WorkerCells, ...]
    restarts: int = 0
    start_time: float = 0.0


@dataclass(frozen=True)
class CellsOfProcess:
    """The cells that this process writes, and a function that returns those of the whole server."""

    own: Cells
    read_server: Callable[[], ServerCells]


_of_process: CellsOfProcess | None = None


def share_cells(own: Cells, read_server: Callable[[], ServerCells]) -> None:
    """Let the servers that this process creates from now on record in cells that other processes read."""
    global _of_process
    _of_process = CellsOfProcess(own, read_server)


def cells_of_process() -> CellsOfProcess:
    """Return the shared cells of this process; without any, new cells that it alone sees."""
    return _of_process or _private_cells()


def _private_cells() -> CellsOfProcess:
    cells, start = new_cells(), time.time()
    return CellsOfProcess(cells, lambda: ServerCells((WorkerCells(cells, is_live=True),), start_time=start))


class Recorder:
    """Writes the metrics of one worker.

    Args:
        shared: the cells of this worker; without them nothing is recorded.
        routes: the route templates that requests are counted by; the first one stands for any other path.
    """

    def __init__(self, shared: CellsOfProcess | None = None, routes: Iterable[str] = (families.OTHER,)) -> None:
        self.is_on = shared is not None
        shared = shared or _private_cells()
        self._cells = shared.own
        self.read_server = shared.read_server
        """Returns the cells of all workers of the server."""
        self._lock = threading.Lock()
        self._routes = {route: index for index, route in enumerate(routes)}
        self._slots = self._known_slots()
        self._cpu_before = self._cells[families.CPU_SECONDS.offset] - time.process_time()
        self._next_sample = 0.0

    def observe(self, histogram: Family, value: float) -> None:
        """Add a value to a histogram."""
        if self.is_on:
            cell, cells = histogram.offset + bisect_left(histogram.buckets, value), self._cells
            with self._lock:
                cells[cell] += 1.0
                cells[histogram.sum_cell] += value

    def add(self, counter: Family, amount: float = 1.0, label: str = "") -> None:
        """Add to a counter."""
        if self.is_on:
            with self._lock:
                self._cells[counter.offset + (counter.values.index(label) if label else 0)] += amount

    def set(self, gauge: Family, value: float, label: str = "") -> None:
        """Set a gauge."""
        if self.is_on:
            self._cells[gauge.offset + gauge.values.index(label)] = value

    def request_ended(self, route: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            route: its template; any other text is counted as "other".
        """
        if not self.is_on:
            return
        key = (self._routes.get(route, 0) + 1) * _KEY_FACTOR + status
        histogram, cells = families.REQUEST_SECONDS, self._cells
        cell = histogram.offset + bisect_left(histogram.buckets, seconds)
        with self._lock:
            slot = self._slots.get(key)
            if slot is None:
                slot = self._new_slot(key)
            cells[families.REQUEST_COUNTS + slot] += 1.0
            cells[cell] += 1.0
            cells[histogram.sum_cell] += seconds

    def describe_model(self, labels: Mapping[str, str]) -> None:
        """Set the labels of ``drum_model_info``; they must be few and short, and are left out otherwise."""
        if not self.is_on:
            return
        text = json.dumps(labels).encode()
        if len(text) > families.INFO_BYTES:
            text = b"{}"
        cells = self._cells
        cells[families.INFO_LENGTH] = 0.0  # no reader takes half a text
        size = -(-len(text) // CELL_BYTES)
        words = memoryview(text.ljust(size * CELL_BYTES)).cast("d")
        cells[families.INFO_TEXT : families.INFO_TEXT + size] = words
        cells[families.INFO_LENGTH] = float(len(text))

    def sample(self, queue_depth: int, slots: Mapping[str, int]) -> None:
        """Set the gauges of the executor, and once a second those of the process."""
        if not self.is_on:
            return
        self.set(families.QUEUE_DEPTH, queue_depth)
        for state, number in slots.items():
            self.set(families.SLOTS, number, state)
        now = time.monotonic()
        if now >= self._next_sample:
            self._next_sample = now + SAMPLE_SECONDS
            self._sample_process()

    def _sample_process(self) -> None:
        self._cells[families.CPU_SECONDS.offset] = self._cpu_before + time.process_time()
        try:
            self.set(families.THREADS, len(os.listdir(_PROC / "task")))
            pages = int((_PROC / "statm").read_text(encoding="ascii").split()[1])
            self.set(families.MEMORY, pages * os.sysconf("SC_PAGE_SIZE"))
            self.set(families.OPEN_FDS, len(os.listdir(_PROC / "fd")))
        except OSError:  # this system has no such files
            return

    def _known_slots(self) -> dict[int, int]:
        keys = self._cells[families.REQUEST_KEYS : families.REQUEST_COUNTS].tolist()
        return {int(key): slot for slot, key in enumerate(keys) if key}

    def _new_slot(self, key: int) -> int:
        """Return a slot for a new pair of route and status; the last slot is shared by all that find no other."""
        slot = min(len(self._slots), families.REQUEST_KINDS - 1)
        if slot == families.REQUEST_KINDS - 1:
            key = _KEY_FACTOR
        self._cells[families.REQUEST_KEYS + slot] = float(key)
        self._slots[key] = slot
        return slot


OFF = Recorder()
"""Records nothing."""


def split_key(key: float) -> tuple[int, int]:
    """Return the index of the route and the status of a pair; 0 and 0 for those that share the last slot."""
    route, status = divmod(int(key), _KEY_FACTOR)
    return route - 1, status
