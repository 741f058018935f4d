"""Outcomes of calls as futures, and results that no caller awaits."""

import asyncio
import logging
from concurrent.futures import Future, InvalidStateError
from typing import Any

from datarobot_drum.drum.serving.execution.streaming import IncrementalResult

logger = logging.getLogger(__name__)


def set_outcome_threadsafe(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    """Complete ``future`` on its event loop; discard the result if the loop is closed."""
    try:
        future.get_loop().call_soon_threadsafe(set_outcome, future, result, error)
    except RuntimeError:
        logger.debug("A call finished after its event loop was closed; its result is discarded.")
        discard_result(result)


def set_outcome(future: "asyncio.Future[Any] | Future[Any]", result: Any, error: BaseException | None) -> None:
    """Complete ``future``; discard the result if the future was cancelled or timed out."""
    if isinstance(error, StopIteration):  # futures and coroutines cannot carry it (PEP 479)
        cause, error = error, RuntimeError("The call raised StopIteration.")
        error.__cause__ = cause
    try:
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
    except (InvalidStateError, asyncio.InvalidStateError):
        discard_result(result)


def discard_result(result: object) -> None:
    """Cancel a result that is still being produced: it would wait for its consumer for ever."""
    if isinstance(result, IncrementalResult):
        result.cancel()
