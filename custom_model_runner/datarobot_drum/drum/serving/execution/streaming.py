"""A response that is sent while a prediction thread produces it."""

import asyncio
import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext

from datarobot_drum.drum.exceptions import DeadlineExceeded
from datarobot_drum.drum.iterators import close_iterator
from datarobot_drum.drum.serving.execution.stacks import stuck_calls

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 15.0
"""Seconds without a chunk after which a keep-alive is sent: proxies close idle connections after 30 to 60."""

WINDOW = 256 * 1024
"""Bytes that may wait for a slow client; beyond that, the producing thread waits."""


PAUSE_AFTER_SECONDS = 0.1
"""Seconds that a producer waits for a slow client in its slot; then it frees the slot until the client reads on."""

Pause = Callable[[], AbstractContextManager[object]]
"""Returns a context without a slot."""


class IncrementalResult(ABC):
    """A result that the caller gets at once and its pool thread goes on producing, in the same slot."""

    @abstractmethod
    def produce(self, pause: Pause = nullcontext) -> BaseException | None:
        """Produce the rest; return the error that ended it.

        Args:
            pause: entered while the producer waits for a slow consumer.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Stop producing: no caller awaits the result."""


class ChunkStream(IncrementalResult):
    """The chunks of one response: ``produce`` makes them on one thread, another thread or an event loop iterates.

    ``cancel`` stops the producer at its next chunk, then closes it. An error of the producer is raised
    in the iteration, after the chunks before it.

    Args:
        chunks: the producer; its ``close`` is always called.
        timeout: seconds without a chunk after which the iteration raises ``DeadlineExceeded``; 0 for no limit.
        keep_alive: yielded whenever ``KEEP_ALIVE_SECONDS`` pass without a chunk; empty to yield nothing.
    """

    def __init__(self, chunks: Iterable[bytes], timeout: float = 0.0, keep_alive: bytes = b"") -> None:
        self._chunks = chunks
        self._timeout = timeout or math.inf
        self._keep_alive = keep_alive
        self._changed = threading.Condition()
        self._ready: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._cancelled = False
        self._error: BaseException | None = None
        self._wake: Callable[[], object] = _do_nothing
        self.on_cancel: Callable[[], object] = _do_nothing
        """Called when the stream is cancelled before its end."""
        self._done_callbacks: list[Callable[[], object]] = []
        self._thread = 0

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` on the producing thread once it produces no more."""
        self._done_callbacks.append(callback)

    # Producer

    def produce(self, pause: Pause = nullcontext) -> BaseException | None:
        """Produce all chunks; return the error that ended it, None if the stream is complete or cancelled."""
        self._thread = threading.get_ident()
        try:
            for chunk in self._chunks:
                if self._cancelled or (chunk and not self._put(chunk, pause)):
                    break
        except BaseException as error:  # it is raised in the iteration
            self._error = error
        try:
            self._close_producer()
        finally:
            self._notify(ended=True)
            for callback in self._done_callbacks:
                callback()
        return self._error

    def _put(self, chunk: bytes, pause: Pause) -> bool:
        if not self._wait_for_room(PAUSE_AFTER_SECONDS):
            with pause():
                self._wait_for_room(None)
        with self._changed:
            if self._cancelled:
                return False
            self._ready.append(chunk)
            self._size += len(chunk)
        self._notify()
        return True

    def _wait_for_room(self, timeout: float | None) -> bool:
        with self._changed:
            return self._changed.wait_for(self._has_room, timeout)

    def _has_room(self) -> bool:
        return self._cancelled or not self._ready or self._size < WINDOW

    def _close_producer(self) -> None:
        try:
            close_iterator(self._chunks)
        except BaseException:  # a finally block of model code may raise anything; the outcome is known
            logger.exception("A finally block of a streaming model failed after the response.")

    def _notify(self, *, ended: bool = False) -> None:
        with self._changed:
            self._ended = self._ended or ended
            self._changed.notify_all()
            self._wake()

    # Consumer

    def cancel(self) -> None:
        """Stop the producer at its next chunk: the client has disconnected."""
        with self._changed:
            if not self._ended:
                self.on_cancel()
            self._cancelled = True
            self._ready.clear()
            self._changed.notify_all()
            self._wake()

    def close(self) -> None:
        """Do the same as ``cancel``; WSGI servers call it even if they never iterated."""
        self.cancel()

    def _take(self) -> bytes | None:
        """Return the next chunk, None if there is none yet; the caller holds the lock."""
        if not self._ready:
            return None
        chunk = self._ready.popleft()
        self._size -= len(chunk)
        self._changed.notify_all()
        return chunk

    def _has_news(self) -> bool:
        return bool(self._ready) or self._ended or self._cancelled

    def _log_stack(self) -> None:
        stuck_calls.log(self._thread, self._timeout, what="A stream without a chunk")

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def __iter__(self) -> Iterator[bytes]:
        timer = _KeepAliveTimer(self._timeout, self._keep_alive, self._log_stack)
        try:
            while True:
                with self._changed:
                    is_notified = self._changed.wait_for(self._has_news, timer.next_timeout())
                    chunk = self._take()
                if chunk is not None:
                    timer.reset()
                    yield chunk
                elif not is_notified:
                    yield timer.keep_alive_or_raise()
                else:
                    break
            self._raise_error()
        finally:
            self.cancel()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        timer = _KeepAliveTimer(self._timeout, self._keep_alive, self._log_stack)
        self._wake = lambda: _call_unless_closed(loop, changed.set)
        try:
            while True:
                with self._changed:
                    chunk = self._take()
                    ended = self._ended or self._cancelled
                    changed.clear()
                if chunk is not None:
                    timer.reset()
                    yield chunk
                elif ended:
                    break
                elif not await _wait_for_event(changed, timer.next_timeout()):
                    yield timer.keep_alive_or_raise()
            self._raise_error()
        finally:
            self._wake = _do_nothing
            self.cancel()


class PrefetchedIterator(Iterator[bytes]):
    """An iterator whose first chunk is already made, so that its error can still become an error response."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._first: bytes | None = next(chunks, b"")

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return next(self._chunks)

    def close(self) -> None:
        """Close the wrapped iterator."""
        close_iterator(self._chunks)


class _KeepAliveTimer:
    """The time since the last chunk of a stream; ``on_timeout`` is called once it is too long."""

    def __init__(self, timeout: float, keep_alive: bytes, on_timeout: Callable[[], object]) -> None:
        self._on_timeout = on_timeout
        self._timeout = timeout
        self._keep_alive = keep_alive
        self.reset()

    def reset(self) -> None:
        self._deadline = time.monotonic() + self._timeout

    def next_timeout(self) -> float | None:
        """Return the seconds until a keep-alive or an error is due, None for never."""
        remaining = self._deadline - time.monotonic()
        wait = min(remaining, KEEP_ALIVE_SECONDS) if self._keep_alive else remaining
        return None if wait == math.inf else max(wait, 0.0)

    def keep_alive_or_raise(self) -> bytes:
        """Return the keep-alive to send.

        Raises:
            DeadlineExceeded: the timeout is over.
        """
        if time.monotonic() >= self._deadline:
            self._on_timeout()
            raise DeadlineExceeded(f"No chunk came for {self._timeout:g} s (DRUM_CLIENT_REQUEST_TIMEOUT).")
        return self._keep_alive


async def _wait_for_event(event: asyncio.Event, timeout: float | None) -> bool:
    try:
        await asyncio.wait_for(event.wait(), timeout)
    except asyncio.TimeoutError:
        return False
    return True


def _do_nothing() -> None:
    """Notify no event loop and no call."""


def _call_unless_closed(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        logger.debug("A stream continued after its event loop was closed.")
