"""The thread that flushes what a model prints."""

import io
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from datarobot_drum.drum.process.stdout_flusher import StdoutFlusher
from datarobot_drum.drum.process.worker_ctx import WorkerCtx

PATIENCE = 20.0

THREAD = "drum-stdout-flusher"


class Output(io.StringIO):
    """Standard output that tells when it is flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.flushes = 0
        self.flushed = threading.Event()

    def flush(self) -> None:
        self.flushes += 1
        self.flushed.set()


@pytest.fixture
def worker_ctx() -> Iterator[WorkerCtx]:
    ctx = WorkerCtx()
    ctx.start()
    yield ctx
    ctx.cleanup()


@pytest.fixture
def flusher(worker_ctx: WorkerCtx) -> StdoutFlusher:
    flusher = StdoutFlusher()
    flusher.start(worker_ctx)
    return flusher


def _replace_stdout(monkeypatch: pytest.MonkeyPatch) -> Output:
    """In the test itself: pytest puts its own in place after the fixtures."""
    output = Output()
    monkeypatch.setattr(sys, "stdout", output)
    return output


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def test_output_is_flushed_without_any_request(flusher: StdoutFlusher, monkeypatch: pytest.MonkeyPatch) -> None:
    output = _replace_stdout(monkeypatch)
    for _ in range(3):
        output.flushed.clear()
        assert output.flushed.wait(PATIENCE)


def test_output_is_flushed_after_a_request(worker_ctx: WorkerCtx, monkeypatch: pytest.MonkeyPatch) -> None:
    output = _replace_stdout(monkeypatch)
    monkeypatch.setattr("datarobot_drum.drum.process.stdout_flusher.IDLE_SECONDS", 2 * PATIENCE)
    flusher = StdoutFlusher()
    flusher.start(worker_ctx)
    for _ in range(3):
        output.flushed.clear()
        flusher.request_ended()
        assert output.flushed.wait(PATIENCE)


def test_many_requests_share_a_flush(
    flusher: StdoutFlusher, worker_ctx: WorkerCtx, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = _replace_stdout(monkeypatch)
    for _ in range(10_000):
        flusher.request_ended()
    worker_ctx.stop()
    assert 1 <= output.flushes < 100


def test_the_end_of_the_worker_ends_the_thread_after_a_last_flush(
    flusher: StdoutFlusher, worker_ctx: WorkerCtx, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = _replace_stdout(monkeypatch)
    (thread,) = _threads()
    worker_ctx.stop()
    assert not thread.is_alive()
    assert output.flushes >= 1


def test_a_second_start_and_a_second_stop_change_nothing(flusher: StdoutFlusher, worker_ctx: WorkerCtx) -> None:
    flusher.start(worker_ctx)
    assert len(_threads()) == 1
    worker_ctx.stop()
    flusher.stop()
    assert not _threads()


def _closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("broken", [None, _closed(), object()], ids=["none", "closed", "not-a-stream"])
def test_a_broken_standard_output_keeps_nothing_else_from_being_flushed(
    broken: object, flusher: StdoutFlusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output()
    monkeypatch.setattr(sys, "stdout", broken)
    monkeypatch.setattr(sys, "stderr", output)
    for _ in range(2):
        output.flushed.clear()
        flusher.request_ended()
        assert output.flushed.wait(PATIENCE)


@pytest.mark.process
def test_a_process_that_never_stops_its_worker_exits_with_its_output_complete() -> None:
    code = """
from datarobot_drum.drum.process.stdout_flusher import StdoutFlusher
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
StdoutFlusher().start(WorkerCtx())
print("the last word", end="")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "the last word", "")
