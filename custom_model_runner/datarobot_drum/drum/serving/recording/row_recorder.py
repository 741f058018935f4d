"""The writer of the request log: a bounded queue, and one thread that writes what is in it.

A prediction never waits for it. What does not fit into the queue, and what cannot be written, is dropped and counted.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.serving.metrics.families import RECORDED_ROWS
from datarobot_drum.drum.serving.metrics.recorder import OFF, Recorder
from datarobot_drum.drum.serving.recording.entries import (
    MAX_CELLS,
    RecordedModel,
    RecordEntry,
    copy_features,
    copy_predictions,
    count_cells,
)
from datarobot_drum.drum.serving.recording.masks import ColumnMask
from datarobot_drum.drum.serving.recording.sinks import JsonLinesSink, RecordSink
from datarobot_drum.drum.settings.recording import RecordingParameters
from datarobot_drum.drum.settings.value_parsers import PARQUET
from datarobot_drum.drum.tracing.request_id import request_id

MAX_QUEUED_BYTES = 32 * 1024 * 1024
WRITE_SECONDS = 0.25
"""Time between two looks at the queue: waking the writer for each request would slow requests down."""
RETRY_SECONDS = 5.0
"""Time after a failed write in which rows are dropped without another attempt."""
WARNING_SECONDS = 600.0
"""Minimum time between two log lines about failed writes."""
FLUSH_SECONDS = 10.0
"""Time that the queue gets at the shutdown, if the graceful timeout is no shorter."""

TABLES = "datarobot_drum.drum.serving.recording.tables:to_table"
PARQUET_SINK = "datarobot_drum.drum.serving.recording.parquet_parts:ParquetSink"

logger = logging.getLogger(__name__)


class PendingRecord:
    """A sampled request whose prediction runs."""

    def __init__(self, recorder: RowRecorder, model: RecordedModel, data: Any) -> None:
        self._recorder = recorder
        self._model = model
        self._time = time.time()
        self._features = copy_features(data, recorder.mask)

    def finish(self, predictions: Predictions) -> None:
        """Queue the rows with their predictions."""
        identifier = request_id.get()
        entry = RecordEntry(self._model, identifier, self._time, self._features, copy_predictions(predictions))
        self._recorder.offer(entry)


class RowRecorder:
    """The request log of one worker. Start it in the process that predicts: threads do not survive a fork."""

    def __init__(self, parameters: RecordingParameters, recorder: Recorder = OFF) -> None:
        self.mask = ColumnMask(parameters.record_mask)
        self._rate = parameters.record_rate
        self._random = random.Random()
        self._sink = _create_sink(parameters)
        self._recorder = recorder
        self._lock = threading.Lock()
        self._queue: deque[tuple[RecordEntry, int]] = deque()
        self._queued_bytes = 0
        self._counts = dict.fromkeys(RECORDED_ROWS.values, 0)
        self._wake = threading.Event()
        self._stopping = False
        self._flush_seconds = FLUSH_SECONDS
        self._retry_at = 0.0
        self._warn_at = 0.0
        self._thread: threading.Thread | None = None

    def start(self, worker_ctx: WorkerCtx, graceful_timeout: float = FLUSH_SECONDS) -> None:
        """Write until ``worker_ctx`` is cleaned up."""
        if self._thread is None:
            self._flush_seconds = min(graceful_timeout, FLUSH_SECONDS)
            self._thread = threading.Thread(target=self._run, name="drum-request-log", daemon=True)
            worker_ctx.defer_cleanup(self.close, order=90, desc="write the last rows of the request log")
            self._thread.start()

    def begin(self, model: RecordedModel, data: Any) -> PendingRecord | None:
        """Return a record of these samples; None if they are not sampled, or there is no room for them."""
        if self._rate < 1.0 and self._random.random() >= self._rate:
            return None
        if count_cells(data) > MAX_CELLS or self._queued_bytes >= MAX_QUEUED_BYTES:
            self._count("queue_full", int(data.shape[0]) if hasattr(data, "shape") else 1)
            return None
        return PendingRecord(self, model, data)

    def offer(self, entry: RecordEntry) -> None:
        """Queue an entry, or drop it if there is no room."""
        size = entry.size
        with self._lock:
            has_room = self._queued_bytes + size <= MAX_QUEUED_BYTES and not self._stopping
            if has_room:
                self._queue.append((entry, size))
                self._queued_bytes += size
        if not has_room:
            self._count("queue_full", entry.rows)
        elif self._queued_bytes > MAX_QUEUED_BYTES // 2:
            self._wake.set()

    def statistics(self) -> dict[str, Any]:
        """Return the counts of rows for ``/stats/``."""
        with self._lock:
            return {**{f"rows_{outcome}": rows for outcome, rows in self._counts.items()}, "queued": len(self._queue)}

    def close(self) -> None:
        """Write what is queued, for at most the flush time, and complete the file."""
        self._stopping = True
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is None:
            return
        thread.join(self._flush_seconds)
        with self._lock:
            left = sum(entry.rows for entry, _ in self._queue)
            self._queue.clear()
        if left:
            self._count("failed", left)
            logger.warning("The request log lacks %d rows: they were not written in %g s.", left, self._flush_seconds)

    def _count(self, outcome: str, rows: int) -> None:
        if rows:
            self._recorder.add(RECORDED_ROWS, rows, outcome)
            with self._lock:
                self._counts[outcome] += rows

    # The writer

    def _run(self) -> None:
        self._attempt(self._sink.prepare)
        while not self._stopping:
            self._wake.wait(WRITE_SECONDS)
            self._wake.clear()
            self._write_queued()
            self._attempt(self._sink.complete_old)
        self._write_queued()
        self._attempt(self._sink.close)

    def _write_queued(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    return
                entry, size = self._queue.popleft()
            if time.monotonic() < self._retry_at:
                self._count("failed", entry.rows)
            else:
                self._attempt(partial(self._write, entry))
            with self._lock:
                self._queued_bytes -= size
            time.sleep(0)  # threads of predictions that wait for the GIL come first

    def _write(self, entry: RecordEntry) -> None:
        try:
            table = import_from_string(TABLES)(entry, self.mask)
        except BaseException:
            self._sink.lost += entry.rows
            raise
        self._sink.write(table)

    def _attempt(self, work: Callable[[], object]) -> None:
        """Do a step of the sink, and count its rows. Cells of model code may raise anything; the writer goes on."""
        try:
            work()
        except OSError as error:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._on_failure(error)
        except Exception as error:
            self._on_failure(error)
        written, lost = self._sink.take_counts()
        self._count("written", written)
        self._count("failed", lost)

    def _on_failure(self, error: Exception) -> None:
        now = time.monotonic()
        if now >= self._warn_at:
            self._warn_at = now + WARNING_SECONDS
            logger.warning("The request log drops rows (DRUM_RECORD): %s. Predictions go on.", error)


def _create_sink(parameters: RecordingParameters) -> RecordSink:
    path = Path(parameters.record).absolute()
    if path.suffix.lower() == PARQUET:
        create = import_from_string(PARQUET_SINK)
        sink: RecordSink = create(
            path, parameters.record_max_files, parameters.record_max_size, parameters.record_part_seconds
        )
        return sink
    return JsonLinesSink(path, parameters.record_max_files, parameters.record_max_size)
