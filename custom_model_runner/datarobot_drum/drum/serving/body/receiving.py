"""Receives request bodies on an event loop. Threads write to disk, and decode gzip."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

import anyio

from datarobot_drum.drum.exceptions import RequestError
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.body.progress import BodyProgress
from datarobot_drum.drum.serving.body.reader import BodyReader, RequestBody
from datarobot_drum.drum.settings.cpu_threads import available_cpus

T = TypeVar("T")

BODY_THREADS = min(4, max(2, int(available_cpus())))
"""Decoding takes a core for each thread: more threads than cores would take them from other requests."""

_body_threads = ThreadPoolExecutor(BODY_THREADS, "drum-body")
"""Separate from the framework's threads, so that neither pool waits for the other."""


class BodyRejected(Exception):
    """The request is rejected with ``error``; unless its body ``is_complete``, the client may still be sending."""

    def __init__(self, error: RequestError, *, is_complete: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.is_complete = is_complete


async def receive_body(
    chunks: AsyncIterator[bytes], headers: Mapping[str, str], limits: BodyLimits, form_fields: frozenset[str]
) -> RequestBody:
    """Read the whole body; memory stays bounded.

    Raises:
        BodyRejected: ``BodyReader`` rejected the body while it arrived; nothing of it is kept.
        RequestError: the body has ended and is incomplete.
        Exception: the error of ``chunks``, unchanged.
    """
    try:
        reader = BodyReader(headers, limits, form_fields)
    except RequestError as error:
        raise BodyRejected(error) from error
    try:
        try:
            await _feed(reader, chunks)
        except RequestError as error:
            raise BodyRejected(error, is_complete=reader.progress.is_complete) from error
        return await _on_body_thread(reader.finish) if reader.on_disk else reader.finish()
    except BaseException:  # a cancellation, too, must leave no temporary file
        reader.close()
        raise


async def _feed(reader: BodyReader, chunks: AsyncIterator[bytes]) -> None:
    """Feed the body to ``reader`` as it arrives. One deadline, extended by each chunk, limits how slow it may be."""
    progress = reader.progress
    with anyio.move_on_after(progress.time_left) as scope:
        async for chunk in chunks:
            if not chunk:
                continue
            if reader.reserve_memory(len(chunk)):
                reader.feed(chunk)
            else:
                scope.deadline = math.inf
                start = time.monotonic()
                await _on_body_thread(partial(reader.feed, chunk))
                progress.extend_deadline(time.monotonic() - start)
            if not progress.is_complete:
                time_left = progress.time_left
                scope.deadline = math.inf if time_left is None else anyio.current_time() + time_left
    if scope.cancelled_caught:
        raise progress.timeout_error()


async def timed_chunks(chunks: AsyncIterator[bytes], progress: BodyProgress) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a body that is passed on, as long as they arrive in time.

    Raises:
        RequestTimeout: the client is too slow.
    """
    while True:
        with anyio.move_on_after(progress.time_left) as scope:
            chunk = await anext(chunks, None)
        if scope.cancelled_caught:
            raise progress.timeout_error()
        if chunk is None:
            return
        if chunk:
            yield chunk


async def _on_body_thread(work: Callable[[], T]) -> T:
    """Return the result of ``work``. On cancellation, wait: the work still uses these buffers."""
    done = asyncio.get_running_loop().run_in_executor(_body_threads, work)
    try:
        return await asyncio.shield(done)
    finally:
        with anyio.CancelScope(shield=True):
            while not done.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([done])
