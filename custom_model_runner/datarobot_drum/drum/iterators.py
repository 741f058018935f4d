"""Iterators of model code: asynchronous ones drawn from the prediction threads, and all of them closed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any


def close_iterator(items: object) -> None:
    """Run the ``finally`` blocks of a generator; other iterators may have nothing to close."""
    close = getattr(items, "close", None)
    if close is not None:
        close()


def drain_async(chunks: AsyncIterator[Any]) -> Iterator[Any]:
    """An asynchronous iterator drawn from a plain thread, on an event loop of its own."""
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
