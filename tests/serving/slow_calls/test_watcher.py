"""Slow calls: what their reports have, while they run and when they or their worker have ended."""

import os
import threading

import numpy as np
import pytest

from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.slow_calls.reports import (
    SHOWN,
    SLOT_BYTES,
    Memory,
    ReportWriter,
    new_memory,
    read_reports,
)
from datarobot_drum.drum.serving.slow_calls.watcher import SlowCallWatcher
from datarobot_drum.drum.tracing.request_id import request_id
from tests.serving.execution.blocking_call import wait_until


def test_a_slow_call_is_reported_with_its_stack(caplog: pytest.LogCaptureFixture) -> None:
    memory, worker_ctx, go_on = new_memory(), WorkerCtx(), threading.Event()
    watcher = SlowCallWatcher(0.01, ReportWriter(memory))
    watcher.start(worker_ctx)

    def slow_handler(request: ModelRequest) -> ModelResponse:
        request_id.set("my-id")
        watcher.note_samples(np.zeros((3, 2)))
        go_on.wait(30)
        return ModelResponse(b"")

    thread = threading.Thread(target=watcher.wrap("/predict", slow_handler), args=(ModelRequest(),))
    thread.start()
    wait_until(lambda: bool(read_reports([(memory, os.getpid())])))
    (report,) = read_reports([(memory, os.getpid())])
    (ended,) = read_reports([(memory, None)])
    go_on.set()
    thread.join()
    (finished,) = read_reports([(memory, os.getpid())])
    worker_ctx.cleanup()
    assert (report["state"], report["route"], report["rows"]) == ("running", "/predict", 3)
    assert any("slow_handler" in frame["function"] for frame in report["samples"][0]["stack"])
    assert (ended["state"], finished["state"]) == ("worker ended", "finished")
    assert "Slow prediction" in caplog.text


def test_readers_get_the_last_reports_and_no_torn_ones() -> None:
    memory: Memory = new_memory()
    writer = ReportWriter(memory)
    for number in range(SHOWN + 5):
        owner = object()
        stack = [{"file": "x" * 300, "line": 1, "function": "f" * 300}] * 60
        document = {"state": "finished", "pid": 1, "number": number, "samples": [{"seconds": 1, "stack": list(stack)}]}
        writer.write(owner, document)
        writer.release(owner)
    assert [report["number"] for report in read_reports([(memory, None)])] == list(range(SHOWN + 4, 4, -1))
    memory[SLOT_BYTES // 4] ^= 1
    assert len(read_reports([(memory, None)])) == SHOWN - 1
