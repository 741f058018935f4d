"""A response on its way from the producing thread to the thread or event loop that sends it."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest

from datarobot_drum.drum.exceptions import DeadlineExceeded, PredictionError
from datarobot_drum.drum.serving.body.reader import RequestBody
from datarobot_drum.drum.serving.execution import streaming as streams
from datarobot_drum.drum.serving.execution.call import ModelCall, StreamedResponse
from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure
from datarobot_drum.drum.serving.execution.streaming import WINDOW, ChunkStream, PrefetchedIterator
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from tests.serving.execution.blocking_call import TIMEOUT, BlockingCall, wait_until

KEEP_ALIVE = b": still here\n\n"


class Producer(Iterator[bytes]):
    """An iterator of chunks that blocks before chunk ``held_at`` until ``resume``."""

    def __init__(self, *chunks: bytes, error: BaseException | None = None, held_at: int | None = None) -> None:
        self._chunks = chunks
        self._error = error
        self._held_at = held_at
        self._free = threading.Event()
        self.drawn = 0
        self.closed = False

    def __next__(self) -> bytes:
        if self.drawn == self._held_at and not self._free.wait(TIMEOUT):
            raise TimeoutError("The test never resumed the producer.")
        if self.drawn == len(self._chunks):
            if self._error is not None:
                raise self._error
            raise StopIteration
        self.drawn += 1
        return self._chunks[self.drawn - 1]

    def resume(self) -> None:
        self._free.set()

    def close(self) -> None:
        self.closed = True


Take = Callable[[ChunkStream], list[bytes]]


def consume_by_thread(stream: ChunkStream) -> list[bytes]:
    return list(stream)


def consume_by_loop(stream: ChunkStream) -> list[bytes]:
    async def take() -> list[bytes]:
        return [chunk async for chunk in stream]

    return asyncio.run(take())


@pytest.fixture(params=[consume_by_thread, consume_by_loop], ids=["thread", "loop"])
def take(request: pytest.FixtureRequest) -> Take:
    """Consume all chunks, in a thread and on an event loop."""
    found: Take = request.param
    return found


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


@pytest.fixture
def frequent_keep_alives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep-alives after 10 ms without a chunk."""
    monkeypatch.setattr(streams, "KEEP_ALIVE_SECONDS", 0.01)


def start(thread: ThreadPoolExecutor, stream: ChunkStream) -> "Future[BaseException | None]":
    return thread.submit(stream.produce)


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_chunks_keep_order(thread: ThreadPoolExecutor, take: Take, count: int) -> None:
    chunks = [b"%d" % number for number in range(count)]
    stream = ChunkStream(Producer(*chunks))
    made = start(thread, stream)
    assert take(stream) == chunks
    assert made.result() is None


def test_chunks_wait_for_late_consumer(thread: ThreadPoolExecutor, take: Take) -> None:
    stream = ChunkStream(Producer(b"a", b"b"))
    start(thread, stream).result()
    assert take(stream) == [b"a", b"b"]


def test_empty_chunks_are_skipped(thread: ThreadPoolExecutor, take: Take) -> None:
    stream = ChunkStream(Producer(b"", b"a", b"", b""))
    start(thread, stream)
    assert take(stream) == [b"a"]


def test_any_iterable_of_bytes_is_accepted(thread: ThreadPoolExecutor, take: Take) -> None:
    stream = ChunkStream([b"a", b"b"])
    start(thread, stream)
    assert take(stream) == [b"a", b"b"]


def test_producer_waits_while_window_is_full(thread: ThreadPoolExecutor, take: Take) -> None:
    chunks = [bytes([number]) * (WINDOW // 2) for number in range(20)]
    producer = Producer(*chunks)
    stream = ChunkStream(producer)
    made = start(thread, stream)
    wait_until(lambda: producer.drawn == 3)
    time.sleep(0.02)
    assert producer.drawn == 3  # two fill the window, one waits to be added
    assert not made.done()
    assert take(stream) == chunks
    assert made.result() is None


def test_chunk_larger_than_window_passes(thread: ThreadPoolExecutor, take: Take) -> None:
    chunks = [b"a" * (3 * WINDOW), b"b" * (3 * WINDOW)]
    stream = ChunkStream(Producer(*chunks))
    start(thread, stream)
    assert take(stream) == chunks


def test_producer_is_closed_before_done_callback(thread: ThreadPoolExecutor, take: Take) -> None:
    producer = Producer(b"a")
    stream = ChunkStream(producer)
    ended: list[bool] = []
    stream.add_done_callback(lambda: ended.append(producer.closed))
    start(thread, stream)
    take(stream)
    wait_until(lambda: ended == [True])


@pytest.mark.parametrize("error", [PredictionError("no more"), KeyboardInterrupt()], ids=repr)
def test_error_is_raised_after_chunks_before_it(thread: ThreadPoolExecutor, take: Take, error: BaseException) -> None:
    producer = Producer(b"a", b"b", error=error)
    consumed: list[bytes] = []
    stream = ChunkStream(_noting(producer, consumed))
    made = start(thread, stream)
    with pytest.raises(type(error)):
        take(stream)
    assert consumed == [b"a", b"b"]
    assert made.result() is error


def _noting(chunks: Iterator[bytes], noted: list[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        noted.append(chunk)
        yield chunk


def test_error_of_close_is_only_logged(
    thread: ThreadPoolExecutor, take: Take, caplog: pytest.LogCaptureFixture
) -> None:
    class FailingProducer(Producer):
        def close(self) -> None:
            raise ValueError("in finally")

    stream = ChunkStream(FailingProducer(b"a"))
    made = start(thread, stream)
    assert take(stream) == [b"a"]
    assert made.result() is None
    assert "finally block" in caplog.text


# Clients that disconnect


def test_cancelled_stream_stops_at_next_chunk(thread: ThreadPoolExecutor) -> None:
    producer = Producer(b"a", b"b", b"c", held_at=1)
    stream = ChunkStream(producer)
    made = start(thread, stream)
    wait_until(lambda: producer.drawn == 1)
    stream.cancel()
    assert not made.done()
    producer.resume()
    assert made.result() is None
    assert (producer.drawn, producer.closed) == (2, True)


@pytest.mark.parametrize("cancel", [ChunkStream.cancel, ChunkStream.close], ids=["cancel", "close"])
def test_cancel_wakes_waiting_producer(thread: ThreadPoolExecutor, cancel: Callable[[ChunkStream], None]) -> None:
    producer = Producer(*[b"x" * WINDOW] * 5)
    stream = ChunkStream(producer)
    made = start(thread, stream)
    wait_until(lambda: producer.drawn == 2)
    cancel(stream)
    assert made.result(TIMEOUT) is None
    assert producer.closed


def test_cancel_drops_pending_chunks(thread: ThreadPoolExecutor, take: Take) -> None:
    stream = ChunkStream(Producer(b"a", b"b"))
    start(thread, stream).result()
    stream.cancel()
    assert take(stream) == []


def test_closed_iteration_cancels_stream(thread: ThreadPoolExecutor) -> None:
    producer = Producer(*[b"x"] * 100_000)
    stream = ChunkStream(producer)
    made = start(thread, stream)
    iteration: Any = iter(stream)
    assert next(iteration) == b"x"
    iteration.close()
    assert made.result(TIMEOUT) is None
    assert producer.closed


async def test_closed_async_iteration_cancels_stream(thread: ThreadPoolExecutor) -> None:
    producer = Producer(*[b"x"] * 100_000)
    stream = ChunkStream(producer)
    made = start(thread, stream)
    chunks: AsyncIterator[bytes] = stream.__aiter__()
    async with aclosing(chunks):  # type: ignore[type-var]
        assert await chunks.__anext__() == b"x"
    assert await asyncio.wrap_future(made) is None
    assert producer.closed


async def test_cancel_ends_async_iteration(thread: ThreadPoolExecutor) -> None:
    producer = Producer(b"a", b"b", held_at=1)
    stream = ChunkStream(producer)
    start(thread, stream)
    consumed = []
    async for chunk in stream:
        consumed.append(chunk)
        asyncio.get_running_loop().call_soon(stream.cancel)
    assert consumed == [b"a"]
    producer.resume()


def test_stream_survives_closed_event_loop(thread: ThreadPoolExecutor) -> None:
    producer = Producer(b"a", b"b", held_at=1)
    stream = ChunkStream(producer)
    made = start(thread, stream)

    async def take_one() -> bytes:
        return await stream.__aiter__().__anext__()

    assert asyncio.run(take_one()) == b"a"
    producer.resume()
    assert made.result(TIMEOUT) is None


# Keep-alives and timeouts


@pytest.mark.usefixtures("frequent_keep_alives")
def test_idle_stream_yields_keep_alives(thread: ThreadPoolExecutor, take: Take) -> None:
    producer = Producer(b"a", b"b", held_at=1)
    stream = ChunkStream(producer, keep_alive=KEEP_ALIVE)
    start(thread, stream)
    threading.Timer(0.1, producer.resume).start()
    first, *between, last = take(stream)
    assert (first, last) == (b"a", b"b")
    assert between and set(between) == {KEEP_ALIVE}


@pytest.mark.usefixtures("frequent_keep_alives")
def test_idle_stream_without_keep_alive_waits(thread: ThreadPoolExecutor, take: Take) -> None:
    producer = Producer(b"a", b"b", held_at=1)
    stream = ChunkStream(producer)
    start(thread, stream)
    threading.Timer(0.1, producer.resume).start()
    assert take(stream) == [b"a", b"b"]


@pytest.mark.usefixtures("frequent_keep_alives")
@pytest.mark.parametrize("keep_alive", [b"", KEEP_ALIVE])
def test_idle_stream_times_out(thread: ThreadPoolExecutor, take: Take, keep_alive: bytes) -> None:
    producer = Producer(b"a", b"b", held_at=1)
    stream = ChunkStream(producer, 0.05, keep_alive)
    made = start(thread, stream)
    with pytest.raises(DeadlineExceeded, match=r"0\.05 s"):
        take(stream)
    producer.resume()
    assert made.result(TIMEOUT) is None
    assert producer.closed


@pytest.mark.usefixtures("frequent_keep_alives")
def test_timeout_restarts_with_each_chunk(thread: ThreadPoolExecutor, take: Take) -> None:
    def slowly() -> Iterator[bytes]:
        for _ in range(10):
            time.sleep(0.05)
            yield b"x"

    stream = ChunkStream(slowly(), 0.4)
    start(thread, stream)
    assert take(stream) == [b"x"] * 10


# PrefetchedIterator


def test_prefetched_iterator_makes_first_chunk_at_once() -> None:
    producer = Producer(b"a", b"b")
    pieces = PrefetchedIterator(producer)
    assert producer.drawn == 1
    assert list(pieces) == [b"a", b"b"]
    pieces.close()
    assert producer.closed


def test_prefetched_iterator_raises_error_of_first_chunk() -> None:
    with pytest.raises(PredictionError):
        PrefetchedIterator(Producer(error=PredictionError("not even one")))


def test_prefetched_iterator_accepts_empty_iterator() -> None:
    assert b"".join(PrefetchedIterator(Producer())) == b""


# On an executor


def call_of(producer: Iterator[bytes]) -> ModelCall:
    return ModelCall(lambda request: ModelResponse(producer), ModelRequest(), RequestBody())


async def test_stream_holds_slot_until_complete(executor: ExecutorWithBackpressure) -> None:
    producer = Producer(b"a", b"b", held_at=1)
    response = await executor.run(call_of(producer))
    assert isinstance(response, StreamedResponse) and isinstance(response.content, ChunkStream)
    assert executor.running == 1
    producer.resume()
    assert [chunk async for chunk in response.content] == [b"a", b"b"]
    await asyncio.to_thread(executor.wait_idle, TIMEOUT)
    assert (executor.running, executor.metrics()["executor_failed"]) == (0, 0)


async def test_failed_stream_counts_as_failed(executor: ExecutorWithBackpressure) -> None:
    response = await executor.run(call_of(Producer(b"a", error=PredictionError("no more"))))
    with pytest.raises(PredictionError):
        [chunk async for chunk in response.content]  # type: ignore[union-attr]
    await asyncio.to_thread(executor.wait_idle, TIMEOUT)
    assert executor.metrics()["executor_failed"] == 1


def held_call(producer: Iterator[bytes], free: threading.Event) -> ModelCall:
    """Return a call whose handler blocks until ``free`` is set, then returns a stream."""

    def handle(request: ModelRequest) -> ModelResponse:
        assert free.wait(TIMEOUT)
        return ModelResponse(producer)

    return ModelCall(handle, ModelRequest(), RequestBody())


@pytest.mark.parametrize("timed_out", [False, True], ids=["cancelled", "timed out"])
async def test_stream_without_consumer_frees_slot(executor: ExecutorWithBackpressure, timed_out: bool) -> None:
    producer, free = Producer(*[b"x" * WINDOW] * 100), threading.Event()
    submission = executor.submit(held_call(producer, free))
    if timed_out:
        submission.time_out(1.0)
        with pytest.raises(DeadlineExceeded):
            await submission
    else:
        submission.cancel()
    free.set()
    assert await asyncio.to_thread(executor.wait_idle, TIMEOUT)
    assert producer.closed and producer.drawn < 100


def test_stream_after_timeout_of_thread_frees_slot(executor: ExecutorWithBackpressure) -> None:
    producer, free = Producer(*[b"x" * WINDOW] * 100), threading.Event()
    call = held_call(producer, free)
    with pytest.raises(DeadlineExceeded):
        executor.call_with_timeout(0.01, call, call.close_body)
    free.set()
    assert executor.wait_idle(TIMEOUT)
    assert producer.closed and producer.drawn < 100


def test_stream_of_closed_loop_frees_slot(executor: ExecutorWithBackpressure) -> None:
    producer, free = Producer(*[b"x" * WINDOW] * 100), threading.Event()

    async def submit() -> None:
        executor.submit(held_call(producer, free))

    asyncio.run(submit())
    free.set()
    assert executor.wait_idle(TIMEOUT)
    assert producer.closed and producer.drawn < 100


# Clients that do not read


async def paused_stream(executor: ExecutorWithBackpressure, producer: Iterator[bytes] | None = None) -> ChunkStream:
    """Return a stream that no client reads, once it has no slot any more."""
    response = await executor.run(call_of(producer or Producer(*[b"x" * WINDOW] * 3)))
    assert isinstance(response.content, ChunkStream)
    await asyncio.to_thread(wait_until, lambda: executor.paused == 1)
    return response.content


async def test_stream_that_is_not_read_frees_its_slot() -> None:
    with ExecutorWithBackpressure(1, 10, TIMEOUT, max_paused=1) as executor:
        stream = await paused_stream(executor)
        assert await executor.run(lambda: "predicted") == "predicted"
        metrics = executor.metrics()
        assert (metrics["executor_running"], metrics["executor_paused"], metrics["executor_pending"]) == (0, 1, 1)
        assert b"".join([chunk async for chunk in stream]) == b"x" * 3 * WINDOW
        assert await asyncio.to_thread(executor.wait_idle, TIMEOUT)
        assert executor.metrics()["executor_completed"] == 2


async def test_stream_that_is_read_on_continues_before_queued_calls() -> None:
    order: list[str] = []

    def chunks() -> Iterator[bytes]:
        yield b"x" * WINDOW
        yield b"x" * WINDOW
        order.append("stream")

    with ExecutorWithBackpressure(1, 10, TIMEOUT, max_paused=1) as executor:
        stream = await paused_stream(executor, chunks())
        running = BlockingCall()
        calls = [asyncio.ensure_future(executor.run(running))]
        await asyncio.to_thread(running.wait_started)
        calls.append(asyncio.ensure_future(executor.run(partial(order.append, "queued call"))))
        reader = aiter(stream)
        await anext(reader)
        await asyncio.to_thread(wait_until, lambda: executor.paused == 0)
        assert (executor.running, executor.waiting) == (1, 1)
        running.finish()
        assert [len(chunk) async for chunk in reader] == [WINDOW]
        await asyncio.gather(*calls)
    assert order == ["stream", "queued call"]


async def test_streams_beyond_the_limit_keep_their_slot() -> None:
    with ExecutorWithBackpressure(2, 10, TIMEOUT, max_paused=1) as executor:
        first = await paused_stream(executor)
        second = await paused_stream(executor)
        await asyncio.sleep(3 * streams.PAUSE_AFTER_SECONDS)
        assert (executor.running, executor.paused) == (1, 1)
        first.cancel()
        second.cancel()
        assert await asyncio.to_thread(executor.wait_idle, TIMEOUT)


async def test_shutdown_waits_for_stream_that_is_not_read() -> None:
    executor = ExecutorWithBackpressure(1, 10, TIMEOUT, max_paused=1)
    stream = await paused_stream(executor)
    executor.shutdown(wait=False)
    assert not executor.wait_idle(0)
    assert len([chunk async for chunk in stream]) == 3
    assert await asyncio.to_thread(executor.wait_idle, TIMEOUT)


async def test_cancelled_stream_that_is_not_read_is_closed() -> None:
    with ExecutorWithBackpressure(1, 10, TIMEOUT, max_paused=1) as executor:
        stream = await paused_stream(executor)
        stream.cancel()
        assert await asyncio.to_thread(executor.wait_idle, TIMEOUT)
        assert executor.metrics()["executor_failed"] == 0
