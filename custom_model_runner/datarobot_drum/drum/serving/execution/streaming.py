"""An answer that is sent while it is made: from the prediction thread that makes it to the connection that sends it."""

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

from datarobot_drum.drum.exceptions import DeadlineExceeded
from datarobot_drum.drum.iterators import close_iterator

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 15.0
"""Proxies close a connection that is silent for 30 to 60 seconds."""

WINDOW = 256 * 1024
"""Bytes that may wait for a slow client; then the thread that makes the answer waits, too."""


class IncrementalResult:
    """A result that the caller gets at once and its pool thread goes on producing, in the same slot."""

    def produce(self) -> BaseException | None:
        """Produce the rest; return the error that ended it."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Stop producing: no caller takes the result."""
        raise NotImplementedError


class ChunkStream(IncrementalResult):
    """The chunks of one answer. ``produce`` makes them on one thread, an iteration takes them on another or on a loop.

    A client that leaves (``abandon``) stops the making at the next chunk, and ``finally`` blocks of the maker run. An
    error of the maker reaches the iteration after the chunks before it.

    Args:
        chunks: makes the bytes; its ``close`` is called in every case.
        timeout: seconds between two chunks after which an iteration gives up; 0 for no limit.
        keep_alive: given out whenever ``KEEP_ALIVE_SECONDS`` pass without a chunk; empty for nothing.
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
        self._on_end: list[Callable[[], object]] = []

    def on_finished(self, callback: Callable[[], object]) -> None:
        """Call back, on the thread of the maker, once nothing more is made."""
        self._on_end.append(callback)

    # The maker

    def produce(self) -> BaseException | None:
        """Make all chunks; returns the error that ended it, None after a full stream or when the client left."""
        try:
            for chunk in self._chunks:
                if chunk and not self._put(chunk):
                    break
        except BaseException as error:  # whatever model code raises, the iteration gets it
            self._error = error
        self._close_maker()
        self._notify(ended=True)
        for callback in self._on_end:
            callback()
        return self._error

    def _put(self, chunk: bytes) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._cancelled or not self._ready or self._size < WINDOW)
            if self._cancelled:
                return False
            self._ready.append(chunk)
            self._size += len(chunk)
        self._notify()
        return True

    def _close_maker(self) -> None:
        try:
            close_iterator(self._chunks)
        except Exception:  # a finally block of model code; the answer is over
            logger.exception("A stream failed while it was closed.")

    def _notify(self, *, ended: bool = False) -> None:
        with self._changed:
            self._ended = self._ended or ended
            self._changed.notify_all()
            self._wake()

    # The sender

    def cancel(self) -> None:
        """Nobody listens any more."""
        with self._changed:
            self._cancelled = True
            self._ready.clear()
            self._changed.notify_all()
            self._wake()

    def close(self) -> None:
        """What a WSGI server calls in any case, even if it never began to iterate."""
        self.cancel()

    def _take(self) -> bytes | None:
        """The next chunk, None if there is none yet; the lock is held."""
        if not self._ready:
            return None
        chunk = self._ready.popleft()
        self._size -= len(chunk)
        self._changed.notify_all()
        return chunk

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def __iter__(self) -> Iterator[bytes]:
        silence = _KeepAliveTimer(self._timeout, self._keep_alive)
        try:
            while True:
                with self._changed:
                    there = self._changed.wait_for(lambda: self._ready or self._ended, silence.next_wait())
                    chunk = self._take()
                if chunk is not None:
                    silence.broken()
                    yield chunk
                elif not there:
                    yield silence.keep_alive_or_raise()
                else:
                    break
            self._raise_error()
        finally:
            self.cancel()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        there = asyncio.Event()
        silence = _KeepAliveTimer(self._timeout, self._keep_alive)
        self._wake = lambda: _call_if_open(loop, there.set)
        try:
            while True:
                with self._changed:
                    chunk = self._take()
                    ended = self._ended or self._cancelled
                    there.clear()
                if chunk is not None:
                    silence.broken()
                    yield chunk
                elif ended:
                    break
                elif not await _set_within(there, silence.next_wait()):
                    yield silence.keep_alive_or_raise()
            self._raise_error()
        finally:
            self._wake = _do_nothing
            self.cancel()


class PrefetchedIterator(Iterator[bytes]):
    """``pieces`` with the first one made already, while an error can still be an error answer."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._first: bytes | None = next(pieces, b"")

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return next(self._pieces)

    def close(self) -> None:
        """Close the pieces' maker."""
        close_iterator(self._pieces)


class _KeepAliveTimer:
    """How long a stream has had nothing to send, and what to do about it."""

    def __init__(self, timeout: float, keep_alive: bytes) -> None:
        self._timeout = timeout
        self._keep_alive = keep_alive
        self.broken()

    def broken(self) -> None:
        self._deadline = time.monotonic() + self._timeout

    def next_wait(self) -> float | None:
        """Seconds until something has to be done; None for ever."""
        left = self._deadline - time.monotonic()
        wait = min(left, KEEP_ALIVE_SECONDS) if self._keep_alive else left
        return None if wait == math.inf else max(wait, 0.0)

    def keep_alive_or_raise(self) -> bytes:
        """The wait is over: the bytes to send.

        Raises:
            DeadlineExceeded: it was the last one.
        """
        if time.monotonic() >= self._deadline:
            raise DeadlineExceeded(f"No chunk came for {self._timeout:g} s (DRUM_CLIENT_REQUEST_TIMEOUT).")
        return self._keep_alive


async def _set_within(event: asyncio.Event, timeout: float | None) -> bool:
    try:
        await asyncio.wait_for(event.wait(), timeout)
    except asyncio.TimeoutError:
        return False
    return True


def _do_nothing() -> None:
    """Nobody waits on an event loop."""


def _call_if_open(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        logger.debug("A stream went on after its event loop was closed.")
