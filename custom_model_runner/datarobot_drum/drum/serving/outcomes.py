"""The outcome of a call, handed to whoever waits for it; and what becomes of it when nobody does."""

import asyncio
import logging
from concurrent.futures import Future as ConcurrentFuture
from concurrent.futures import InvalidStateError
from typing import TypeVar, cast

T = TypeVar("T")

logger = logging.getLogger(__name__)


def tell_loop(future: "asyncio.Future[T]", result: T | None, error: BaseException | None) -> None:
    """Settle ``future`` on its event loop; nobody is there any more once that is closed."""
    try:
        future.get_loop().call_soon_threadsafe(settle, future, result, error)
    except RuntimeError:
        logger.debug("A call ended after its event loop was closed.")
        drop(result)


def settle(future: "asyncio.Future[T] | ConcurrentFuture[T]", result: T | None, error: BaseException | None) -> None:
    try:
        _set_outcome(future, result, error)
    except (InvalidStateError, asyncio.InvalidStateError):
        drop(result)


def drop(result: object) -> None:
    """Nobody takes ``result``; one that has just begun would wait for a taker for ever."""
    abandon = getattr(result, "abandon", None)
    if abandon is not None:
        abandon()


def _set_outcome(
    future: "asyncio.Future[T] | ConcurrentFuture[T]", result: T | None, error: BaseException | None
) -> None:
    if error is None:
        future.set_result(cast("T", result))
    elif isinstance(error, StopIteration):
        # Neither a future nor a coroutine can carry it (PEP 479).
        unfit = RuntimeError("The call raised StopIteration.")
        unfit.__cause__ = error
        future.set_exception(unfit)
    else:
        future.set_exception(error)
