"""The outcome of a call, handed to whoever waits for it; and what becomes of it when nobody does."""

import asyncio
import logging
from concurrent.futures import Future as ConcurrentFuture
from concurrent.futures import InvalidStateError
from typing import TypeVar

T = TypeVar("T")

logger = logging.getLogger(__name__)


def set_outcome_threadsafe(future: "asyncio.Future[T]", result: T | None, error: BaseException | None) -> None:
    """Settle ``future`` on its event loop; nobody is there any more once that is closed."""
    try:
        future.get_loop().call_soon_threadsafe(set_outcome, future, result, error)
    except RuntimeError:
        logger.debug("A call ended after its event loop was closed.")
        discard_result(result)


def set_outcome(
    future: "asyncio.Future[T] | ConcurrentFuture[T]", result: T | None, error: BaseException | None
) -> None:
    try:
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]  # of the call's own type
        else:
            future.set_exception(_fit(error))
    except (InvalidStateError, asyncio.InvalidStateError):
        discard_result(result)


def discard_result(result: object) -> None:
    """Nobody takes ``result``; one that has just begun would wait for a taker for ever."""
    cancel = getattr(result, "cancel", None)
    if cancel is not None:
        cancel()


def _fit(error: BaseException) -> BaseException:
    """What a future can carry: neither it nor a coroutine can carry a ``StopIteration`` (PEP 479)."""
    if not isinstance(error, StopIteration):
        return error
    fit = RuntimeError("The call raised StopIteration.")
    fit.__cause__ = error
    return fit
