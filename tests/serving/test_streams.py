"""One answer on its way from the thread that makes it to a thread or an event loop that sends it."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

import pytest

from datarobot_drum.drum.exceptions import DeadlineExceeded, PredictionError
from datarobot_drum.drum.serving.body.reader import RequestBody
from datarobot_drum.drum.serving.execution import streaming as streams
from datarobot_drum.drum.serving.execution.call import ModelCall, StreamedResponse
from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure
from datarobot_drum.drum.serving.execution.streaming import WINDOW, BegunStream, ChunkStream
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from tests.serving.held_work import PATIENCE, wait_until

KEEP_ALIVE = b": still here\n\n"


class Maker(Iterator[bytes]):
    """Chunks as a test lets them come; counts those that were drawn and knows whether it was closed."""

    def __init__(self, *chunks: bytes, error: BaseException | None = None, held_at: int | None = None) -> None:
        self._chunks = chunks
        self._error = error
        self._held_at = held_at
        self._free = threading.Event()
        self.drawn = 0
        self.closed = False

    def __next__(self) -> bytes:
        if self.drawn == self._held_at and not self._free.wait(PATIENCE):
            raise TimeoutError("The test never let the maker go on.")
        if self.drawn == len(self._chunks):
            if self._error is not None:
                raise self._error
            raise StopIteration
        self.drawn += 1
        return self._chunks[self.drawn - 1]

    def go_on(self) -> None:
        self._free.set()

    def close(self) -> None:
        self.closed = True


Take = Callable[[ChunkStream], list[bytes]]


def take_by_thread(stream: ChunkStream) -> list[bytes]:
    return list(stream)


def take_by_loop(stream: ChunkStream) -> list[bytes]:
    async def take() -> list[bytes]:
        return [chunk async for chunk in stream]

    return asyncio.run(take())


@pytest.fixture(params=[take_by_thread, take_by_loop], ids=["thread", "loop"])
def take(request: pytest.FixtureRequest) -> Take:
    """Take all chunks, as a synchronous server does and as an asynchronous one does."""
    found: Take = request.param
    return found


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep-alives that a test can wait for."""
    monkeypatch.setattr(streams, "KEEP_ALIVE_SECONDS", 0.01)


def start(thread: ThreadPoolExecutor, stream: ChunkStream) -> "Future[BaseException | None]":
    return thread.submit(stream.carry_on)


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_chunks_come_in_order(thread: ThreadPoolExecutor, take: Take, count: int) -> None:
    chunks = [b"%d" % number for number in range(count)]
    stream = ChunkStream(Maker(*chunks))
    made = start(thread, stream)
    assert take(stream) == chunks
    assert made.result() is None


def test_chunks_wait_for_who_comes_late(thread: ThreadPoolExecutor, take: Take) -> None:
    stream = ChunkStream(Maker(b"a", b"b"))
    start(thread, stream).result()
    assert take(stream) == [b"a", b"b"]


def test_empty_chunks_are_left_out(thread: ThreadPoolExecutor, take: Take) -> None:
    stream = ChunkStream(Maker(b"", b"a", b"", b""))
    start(thread, stream)
    assert take(stream) == [b"a"]


def test_any_iterable_of_bytes_will_do(thread: ThreadPoolExecutor, take: Take) -> None:
    stream = ChunkStream([b"a", b"b"])
    start(thread, stream)
    assert take(stream) == [b"a", b"b"]


def test_the_maker_waits_while_nobody_takes(thread: ThreadPoolExecutor, take: Take) -> None:
    chunks = [bytes([number]) * (WINDOW // 2) for number in range(20)]
    maker = Maker(*chunks)
    stream = ChunkStream(maker)
    made = start(thread, stream)
    wait_until(lambda: maker.drawn == 3)
    time.sleep(0.02)
    assert maker.drawn == 3  # two fill the window, one is in the maker's hand
    assert not made.done()
    assert take(stream) == chunks
    assert made.result() is None


def test_a_chunk_larger_than_the_window_passes(thread: ThreadPoolExecutor, take: Take) -> None:
    chunks = [b"a" * (3 * WINDOW), b"b" * (3 * WINDOW)]
    stream = ChunkStream(Maker(*chunks))
    start(thread, stream)
    assert take(stream) == chunks


def test_the_maker_is_closed_at_the_end(thread: ThreadPoolExecutor, take: Take) -> None:
    maker = Maker(b"a")
    stream = ChunkStream(maker)
    ended: list[bool] = []
    stream.when_ended(lambda: ended.append(maker.closed))
    start(thread, stream)
    take(stream)
    wait_until(lambda: ended == [True])


@pytest.mark.parametrize("error", [PredictionError("no more"), KeyboardInterrupt()], ids=repr)
def test_an_error_comes_after_the_chunks_before_it(
    thread: ThreadPoolExecutor, take: Take, error: BaseException
) -> None:
    maker = Maker(b"a", b"b", error=error)
    taken: list[bytes] = []
    stream = ChunkStream(_noting(maker, taken))
    made = start(thread, stream)
    with pytest.raises(type(error)):
        take(stream)
    assert taken == [b"a", b"b"]
    assert made.result() is error


def _noting(chunks: Iterator[bytes], noted: list[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        noted.append(chunk)
        yield chunk


def test_an_error_of_the_end_is_logged_alone(
    thread: ThreadPoolExecutor, take: Take, caplog: pytest.LogCaptureFixture
) -> None:
    class Clumsy(Maker):
        def close(self) -> None:
            raise ValueError("in finally")

    stream = ChunkStream(Clumsy(b"a"))
    made = start(thread, stream)
    assert take(stream) == [b"a"]
    assert made.result() is None
    assert "closed" in caplog.text


# Clients that leave


def test_a_stream_that_is_abandoned_ends_at_the_next_chunk(thread: ThreadPoolExecutor) -> None:
    maker = Maker(b"a", b"b", b"c", held_at=1)
    stream = ChunkStream(maker)
    made = start(thread, stream)
    wait_until(lambda: maker.drawn == 1)
    stream.abandon()
    assert not made.done()
    maker.go_on()
    assert made.result() is None
    assert (maker.drawn, maker.closed) == (2, True)


@pytest.mark.parametrize("leave", [ChunkStream.abandon, ChunkStream.close], ids=["abandon", "close"])
def test_leaving_wakes_a_maker_that_waits(thread: ThreadPoolExecutor, leave: Callable[[ChunkStream], None]) -> None:
    maker = Maker(*[b"x" * WINDOW] * 5)
    stream = ChunkStream(maker)
    made = start(thread, stream)
    wait_until(lambda: maker.drawn == 2)
    leave(stream)
    assert made.result(PATIENCE) is None
    assert maker.closed


def test_what_nobody_takes_any_more_is_not_kept(thread: ThreadPoolExecutor, take: Take) -> None:
    stream = ChunkStream(Maker(b"a", b"b"))
    start(thread, stream).result()
    stream.abandon()
    assert take(stream) == []


def test_an_iteration_that_is_closed_abandons_the_stream(thread: ThreadPoolExecutor) -> None:
    maker = Maker(*[b"x"] * 100_000)
    stream = ChunkStream(maker)
    made = start(thread, stream)
    iteration: Any = iter(stream)
    assert next(iteration) == b"x"
    iteration.close()
    assert made.result(PATIENCE) is None
    assert maker.closed


async def test_an_asynchronous_iteration_that_is_closed_abandons_the_stream(thread: ThreadPoolExecutor) -> None:
    maker = Maker(*[b"x"] * 100_000)
    stream = ChunkStream(maker)
    made = start(thread, stream)
    chunks: AsyncIterator[bytes] = stream.__aiter__()
    async with aclosing(chunks):  # type: ignore[type-var]
        assert await chunks.__anext__() == b"x"
    assert await asyncio.wrap_future(made) is None
    assert maker.closed


async def test_abandoning_ends_an_asynchronous_iteration(thread: ThreadPoolExecutor) -> None:
    maker = Maker(b"a", b"b", held_at=1)
    stream = ChunkStream(maker)
    start(thread, stream)
    taken = []
    async for chunk in stream:
        taken.append(chunk)
        asyncio.get_running_loop().call_soon(stream.abandon)
    assert taken == [b"a"]
    maker.go_on()


def test_a_stream_survives_the_loop_of_its_taker(thread: ThreadPoolExecutor) -> None:
    maker = Maker(b"a", b"b", held_at=1)
    stream = ChunkStream(maker)
    made = start(thread, stream)

    async def take_one() -> bytes:
        return await stream.__aiter__().__anext__()

    assert asyncio.run(take_one()) == b"a"
    maker.go_on()
    assert made.result(PATIENCE) is None


# Silence


@pytest.mark.usefixtures("often")
def test_silence_is_filled(thread: ThreadPoolExecutor, take: Take) -> None:
    maker = Maker(b"a", b"b", held_at=1)
    stream = ChunkStream(maker, keep_alive=KEEP_ALIVE)
    start(thread, stream)
    threading.Timer(0.1, maker.go_on).start()
    first, *between, last = take(stream)
    assert (first, last) == (b"a", b"b")
    assert between and set(between) == {KEEP_ALIVE}


@pytest.mark.usefixtures("often")
def test_silence_without_a_filling_is_borne(thread: ThreadPoolExecutor, take: Take) -> None:
    maker = Maker(b"a", b"b", held_at=1)
    stream = ChunkStream(maker)
    start(thread, stream)
    threading.Timer(0.1, maker.go_on).start()
    assert take(stream) == [b"a", b"b"]


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("keep_alive", [b"", KEEP_ALIVE])
def test_silence_has_a_limit(thread: ThreadPoolExecutor, take: Take, keep_alive: bytes) -> None:
    maker = Maker(b"a", b"b", held_at=1)
    stream = ChunkStream(maker, 0.05, keep_alive)
    made = start(thread, stream)
    with pytest.raises(DeadlineExceeded, match=r"0\.05 s"):
        take(stream)
    maker.go_on()
    assert made.result(PATIENCE) is None
    assert maker.closed


@pytest.mark.usefixtures("often")
def test_the_limit_is_one_of_each_silence(thread: ThreadPoolExecutor, take: Take) -> None:
    def slowly() -> Iterator[bytes]:
        for _ in range(10):
            time.sleep(0.05)
            yield b"x"

    stream = ChunkStream(slowly(), 0.4)
    start(thread, stream)
    assert take(stream) == [b"x"] * 10


# The first piece


def test_the_first_piece_is_made_at_once() -> None:
    maker = Maker(b"a", b"b")
    pieces = BegunStream(maker)
    assert maker.drawn == 1
    assert list(pieces) == [b"a", b"b"]
    pieces.close()
    assert maker.closed


def test_an_error_of_the_first_piece_is_raised_at_once() -> None:
    with pytest.raises(PredictionError):
        BegunStream(Maker(error=PredictionError("not even one")))


def test_a_stream_of_nothing_is_begun_too() -> None:
    assert b"".join(BegunStream(Maker())) == b""


# On the executor


def call_of(maker: Iterator[bytes]) -> ModelCall:
    return ModelCall(lambda request: ModelResponse(maker), ModelRequest(), RequestBody())


async def test_a_stream_holds_its_slot_to_its_end(executor: ExecutorWithBackpressure) -> None:
    maker = Maker(b"a", b"b", held_at=1)
    response = await executor.run(call_of(maker))
    assert isinstance(response, StreamedResponse) and isinstance(response.content, ChunkStream)
    assert executor.running == 1
    maker.go_on()
    assert [chunk async for chunk in response.content] == [b"a", b"b"]
    await asyncio.to_thread(executor.wait_idle, PATIENCE)
    assert (executor.running, executor.metrics()["executor_failed"]) == (0, 0)


async def test_a_stream_that_failed_counts_as_failed(executor: ExecutorWithBackpressure) -> None:
    response = await executor.run(call_of(Maker(b"a", error=PredictionError("no more"))))
    with pytest.raises(PredictionError):
        [chunk async for chunk in response.content]  # type: ignore[union-attr]
    await asyncio.to_thread(executor.wait_idle, PATIENCE)
    assert executor.metrics()["executor_failed"] == 1


def held_call(maker: Iterator[bytes], free: threading.Event) -> ModelCall:
    """A handler that takes its time before it answers with a stream."""

    def handle(request: ModelRequest) -> ModelResponse:
        assert free.wait(PATIENCE)
        return ModelResponse(maker)

    return ModelCall(handle, ModelRequest(), RequestBody())


@pytest.mark.parametrize("timed_out", [False, True], ids=["left", "timed out"])
async def test_a_stream_whose_client_left_before_it_began_gives_its_slot_back(
    executor: ExecutorWithBackpressure, timed_out: bool
) -> None:
    maker, free = Maker(*[b"x" * WINDOW] * 100), threading.Event()
    submission = executor.submit(held_call(maker, free))
    if timed_out:
        submission.time_out(1.0)
        with pytest.raises(DeadlineExceeded):
            await submission
    else:
        submission.leave()
    free.set()
    assert await asyncio.to_thread(executor.wait_idle, PATIENCE)
    assert maker.closed and maker.drawn < 100


def test_a_stream_that_came_too_late_for_a_thread_gives_its_slot_back(executor: ExecutorWithBackpressure) -> None:
    maker, free = Maker(*[b"x" * WINDOW] * 100), threading.Event()
    call = held_call(maker, free)
    with pytest.raises(DeadlineExceeded):
        executor.call_within(0.01, call, call.discard)
    free.set()
    assert executor.wait_idle(PATIENCE)
    assert maker.closed and maker.drawn < 100


def test_a_stream_whose_loop_is_closed_gives_its_slot_back(executor: ExecutorWithBackpressure) -> None:
    maker, free = Maker(*[b"x" * WINDOW] * 100), threading.Event()

    async def submit() -> None:
        executor.submit(held_call(maker, free))

    asyncio.run(submit())
    free.set()
    assert executor.wait_idle(PATIENCE)
    assert maker.closed and maker.drawn < 100
