"""The metrics of the server, each declared once, and where its numbers are in a worker's cells.

A worker's cells are an array of doubles in memory that all processes of a server share. A worker writes its own cells;
the process that answers a scrape adds those of all workers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property


class Kind(Enum):
    """What a metric is to Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Family:
    """One metric.

    ``label`` has the fixed ``values``, each with a cell of its own; without a label there is one cell. ``buckets`` are
    the upper bounds of a histogram. ``offset`` is that of its first cell.
    """

    name: str
    kind: Kind
    help: str
    offset: int
    label: str = ""
    values: tuple[str, ...] = ("",)
    buckets: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """The number of cells; those of a histogram are its buckets, the one above them, and the sum."""
        return len(self.buckets) + 2 if self.kind is Kind.HISTOGRAM else len(self.values)

    @cached_property
    def sum_cell(self) -> int:
        """The cell of the sum of a histogram."""
        return self.offset + len(self.buckets) + 1


class _Layout:
    """Declares metrics, and gives each the cells behind those of the one before."""

    def __init__(self) -> None:
        self.families: list[Family] = []
        self.size = 0

    def histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Family:
        return self._place(Family(name, Kind.HISTOGRAM, text, self.size, buckets=buckets))

    def counter(self, name: str, text: str, label: str = "", values: tuple[str, ...] = ("",)) -> Family:
        return self._place(Family(name, Kind.COUNTER, text, self.size, label, values))

    def gauge(self, name: str, text: str, label: str = "", values: tuple[str, ...] = ("",)) -> Family:
        return self._place(Family(name, Kind.GAUGE, text, self.size, label, values))

    def _place(self, family: Family) -> Family:
        self.families.append(family)
        self.size += family.size
        return family


_layout = _Layout()

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_SHORT_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
_BYTES = (0.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0, 104857600.0)
_CALLS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)

REQUESTS_NAME = "drum_requests_total"
REQUESTS_HELP = "Requests that ended, by route template and status; 499: the client disconnected. Probes do not count."
MODEL_INFO_NAME = "drum_model_info"
MODEL_INFO_HELP = "1 while a worker serves this model."
RESTARTS_NAME = "drum_worker_restarts_total"
RESTARTS_HELP = "Workers that ended while the server went on, whatever the cause."
START_TIME_NAME = "process_start_time_seconds"
START_TIME_HELP = "Start of the server, in seconds since the epoch."

REQUEST_SECONDS = _layout.histogram(
    "drum_request_duration_seconds",
    "Seconds from the headers of a request to the end of its response. Probes do not count.",
    buckets=_SECONDS,
)
PREDICTION_SECONDS = _layout.histogram(
    "drum_prediction_duration_seconds",
    "Seconds of a call of the model. A batch is one call; of a stream it is the part before the first chunk.",
    buckets=_SECONDS,
)
QUEUE_SECONDS = _layout.histogram(
    "drum_queue_wait_seconds",
    "Seconds that a prediction waited for a slot.",
    buckets=_SHORT_SECONDS,
)
QUEUE_DEPTH = _layout.gauge("drum_queue_depth", "Predictions that wait for a slot.")
SLOT_STATES = ("running", "free", "paused")
SLOTS = _layout.gauge(
    "drum_executor_slots",
    "Slots of the executor by state. A paused stream waits for its client and holds none of the others.",
    label="state",
    values=SLOT_STATES,
)
REJECT_REASONS = (
    *("queue_timeout", "no_free_slot", "request_timeout", "shutdown"),  # by the executor
    *("unauthorized", "rate_limit", "too_large", "upload_timeout", "no_storage", "not_ready"),  # before it
)
REJECTED = _layout.counter(
    "drum_rejected_total",
    "Requests that were rejected before a prediction, and predictions that were given up, by reason.",
    label="reason",
    values=REJECT_REASONS,
)
BATCH_SIZE = _layout.histogram(
    "drum_batch_size",
    "Requests that were predicted together in one batch.",
    buckets=_CALLS,
)
REQUEST_BYTES = _layout.histogram(
    "drum_request_bytes",
    "Bytes of a complete request body as it was sent.",
    buckets=_BYTES,
)
ROWS = _layout.counter("drum_rows_total", "Rows that were predicted or transformed.")
RECORD_OUTCOMES = ("written", "queue_full", "failed")
RECORDED_ROWS = _layout.counter(
    "drum_record_rows_total",
    "Rows for the request log: written, or dropped as the queue was full or as writing failed.",
    label="outcome",
    values=RECORD_OUTCOMES,
)
LOAD_SECONDS = _layout.gauge("drum_model_load_seconds", "Seconds that the model took to load and warm up.")
TOKEN_DIRECTIONS = ("in", "out")
TOKENS = _layout.counter(
    "drum_tokens_total",
    "Tokens of prompts (in) and completions (out), where the usage is known.",
    label="direction",
    values=TOKEN_DIRECTIONS,
)
FIRST_TOKEN_SECONDS = _layout.histogram(
    "drum_time_to_first_token_seconds",
    "Seconds from a received request to the first chunk of its stream.",
    buckets=_SECONDS,
)
CHUNK_SECONDS = _layout.histogram(
    "drum_chunk_duration_seconds",
    "Seconds in which a stream made one of its chunks after the first.",
    buckets=_SHORT_SECONDS,
)
LOOP_LAG = _layout.histogram(
    "drum_event_loop_lag_seconds",
    "Seconds by which a timer of the event loop was late (fastapi).",
    buckets=_SHORT_SECONDS,
)
CPU_SECONDS = _layout.counter("process_cpu_seconds_total", "User and system CPU seconds of all workers.")
MEMORY = _layout.gauge("process_resident_memory_bytes", "Resident memory of all workers in bytes.")
OPEN_FDS = _layout.gauge("process_open_fds", "Open file descriptors of all workers.")
THREADS = _layout.gauge("process_threads", "Threads of all workers.")

FAMILIES = tuple(_layout.families)
LARGEST = frozenset({LOAD_SECONDS.name})
"""Gauges of which the server has that of the worker with the largest; of others the sum."""

REQUEST_KINDS = 256
"""Pairs of route and status that a worker tells apart; later pairs are counted as the last one."""
OTHER = "other"
"""The label of every path that is no route of ours, and of the pairs beyond ``REQUEST_KINDS``."""

REQUEST_KEYS = _layout.size
REQUEST_COUNTS = REQUEST_KEYS + REQUEST_KINDS
INFO_LENGTH = REQUEST_COUNTS + REQUEST_KINDS
INFO_TEXT = INFO_LENGTH + 1
INFO_BYTES = 1024
CELL_BYTES = 8
CELLS = INFO_TEXT + INFO_BYTES // CELL_BYTES
"""Cells of one worker."""


def names() -> Iterator[str]:
    """Yield the names of all metrics of the server."""
    yield from (REQUESTS_NAME, MODEL_INFO_NAME, RESTARTS_NAME, START_TIME_NAME)
    yield from (family.name for family in FAMILIES)


def gauge_cells() -> Iterator[int]:
    """Yield the cells that end with their worker."""
    for family in FAMILIES:
        if family.kind is Kind.GAUGE:
            yield from range(family.offset, family.offset + family.size)
    yield INFO_LENGTH
