"""Iterators of model code: draw asynchronous ones from a thread, and close any of them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


def close_iterator(items: object) -> None:
    """Close an iterator if it has ``close``, which runs the ``finally`` blocks of a generator."""
    close = getattr(items, "close", None)
    if close is not None:
        close()


@contextmanager
def closing_iterator(items: T) -> Iterator[T]:
    """Close an iterator at the end of the block, if it has ``close``."""
    try:
        yield items
    finally:
        close_iterator(items)


def drain_async(chunks: AsyncIterator[Any]) -> Iterator[Any]:
    """Yield the items of an asynchronous iterator, on a new event loop in the calling thread."""
    loop = asyncio.new_event_loop()
    ended = object()
    try:
        while (chunk := loop.run_until_complete(_next(chunks, ended))) is not ended:
            yield chunk
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            loop.run_until_complete(close())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _next(chunks: AsyncIterator[Any], ended: object) -> Any:
    try:
        return await chunks.__anext__()
    except StopAsyncIteration:
        return ended
