"""The thread that flushes stdout and stderr."""

import io
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from datarobot_drum.drum.process.stdout_flusher import StdoutFlusher
from datarobot_drum.drum.process.worker_ctx import WorkerCtx

TIMEOUT = 20.0

THREAD = "drum-stdout-flusher"


class Output(io.StringIO):
    """Standard output that counts and signals flushes."""

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
    """Replace stdout in the test itself, since pytest replaces it after the fixtures."""
    output = Output()
    monkeypatch.setattr(sys, "stdout", output)
    return output


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def test_output_is_flushed_without_any_request(flusher: StdoutFlusher, monkeypatch: pytest.MonkeyPatch) -> None:
    output = _replace_stdout(monkeypatch)
    for _ in range(3):
        output.flushed.clear()
        assert output.flushed.wait(TIMEOUT)


def test_output_is_flushed_after_a_request(worker_ctx: WorkerCtx, monkeypatch: pytest.MonkeyPatch) -> None:
    output = _replace_stdout(monkeypatch)
    monkeypatch.setattr("datarobot_drum.drum.process.stdout_flusher.IDLE_SECONDS", 2 * TIMEOUT)
    flusher = StdoutFlusher()
    flusher.start(worker_ctx)
    for _ in range(3):
        output.flushed.clear()
        flusher.request_ended()
        assert output.flushed.wait(TIMEOUT)


def test_many_requests_share_a_flush(
    flusher: StdoutFlusher, worker_ctx: WorkerCtx, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = _replace_stdout(monkeypatch)
    for _ in range(10_000):
        flusher.request_ended()
    worker_ctx.stop()
    assert 1 <= output.flushes < 100


def test_worker_stop_ends_the_thread_after_a_last_flush(
    flusher: StdoutFlusher, worker_ctx: WorkerCtx, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = _replace_stdout(monkeypatch)
    (thread,) = _threads()
    worker_ctx.stop()
    assert not thread.is_alive()
    assert output.flushes >= 1


def test_second_start_and_second_stop_do_nothing(flusher: StdoutFlusher, worker_ctx: WorkerCtx) -> None:
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
def test_stderr_is_flushed_when_stdout_is_broken(
    broken: object, flusher: StdoutFlusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output()
    monkeypatch.setattr(sys, "stdout", broken)
    monkeypatch.setattr(sys, "stderr", output)
    for _ in range(2):
        output.flushed.clear()
        flusher.request_ended()
        assert output.flushed.wait(TIMEOUT)


@pytest.mark.process
def test_process_without_stop_exits_with_complete_output() -> None:
    code = """
from datarobot_drum.drum.process.stdout_flusher import StdoutFlusher
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
StdoutFlusher().start(WorkerCtx())
print("the last word", end="")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "the last word", "")
