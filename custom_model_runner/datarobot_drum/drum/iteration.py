"""Asynchronous iterators of model code, drawn from the prediction threads."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any


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
        loop.close()


async def _next(chunks: AsyncIterator[Any], ended: object) -> Any:
    try:
        return await chunks.__anext__()
    except StopAsyncIteration:
        return ended
