"""Places in the executor's line: of work for a prediction thread, or of a thread that brings its own."""

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, Generic, TypeVar

from datarobot_drum.drum.exceptions import ServerOverloaded
from datarobot_drum.drum.serving.execution.prediction_threads import PredictionThreads, Work

T = TypeVar("T")

WAITING, RUNNING, ENDED = "waiting", "running", "ended"


class QueueEntry(ABC):
    """One call's place in the line. Its state and times are guarded by the executor's lock."""

    __slots__ = ("arrived", "deadline", "started", "state")

    def __init__(self, arrived: float, timeout: float) -> None:
        self.arrived = arrived
        self.deadline = arrived + timeout
        self.started = math.inf  # until it has
        self.state = WAITING

    @abstractmethod
    def begin(self) -> None:
        """Its turn has come."""

    def begin_here(self) -> Work | None:
        """Like ``begin``, on a prediction thread that is free now; returns what is to be done there."""
        self.begin()
        return None

    @abstractmethod
    def reject(self) -> None:
        """Its turn will never come."""


class PooledEntry(QueueEntry):
    """The place of something that a thread of ``pool`` does, by calling ``work`` with it."""

    __slots__ = ("_pool", "_work")

    def __init__(
        self, arrived: float, timeout: float, pool: PredictionThreads, work: "Callable[[Any], Work | None]"
    ) -> None:
        super().__init__(arrived, timeout)
        self._pool = pool
        self._work = work

    def begin(self) -> None:
        self._pool.submit(partial(self._work, self))

    def begin_here(self) -> Work | None:
        return partial(self._work, self)


class CallerThreadEntry(QueueEntry):
    """The place of a thread that does its work itself."""

    __slots__ = ("called",)

    def __init__(self, arrived: float, timeout: float) -> None:
        super().__init__(arrived, timeout)
        self.called = threading.Event()

    def begin(self) -> None:
        self.called.set()

    def reject(self) -> None:
        self.called.set()


class QueuedCall(PooledEntry, Generic[T]):
    """The place of work for a thread of the pool; ``deliver`` takes its result or its error.

    It is empty once it has its outcome. A traceback holds all frames below it, the pool's included; whatever led from
    there back to the future would leave the data of a call to the garbage collector.
    """

    __slots__ = ("_call", "_context", "_deliver")

    def __init__(
        self,
        arrived: float,
        timeout: float,
        pool: PredictionThreads,
        work: "Callable[[QueuedCall[T]], Work | None]",
        call: Callable[[], T],
        deliver: Callable[[T | None, BaseException | None], None],
    ) -> None:
        super().__init__(arrived, timeout, pool, work)
        self._call = call
        self._context = copy_context()
        self._deliver = deliver

    def reject(self) -> None:
        self.tell(None, ServerOverloaded())

    def run(self) -> tuple[T | None, BaseException | None]:
        try:
            return self._context.run(self._call), None
        except BaseException as error:  # the caller gets it; a pool thread must not end
            return None, error

    def go_on(self, result: T, produce: Callable[[], BaseException | None]) -> BaseException | None:
        """Hand out ``result`` and do what is left of the work; returns its error."""
        context = self._context
        self.tell(result, None)
        return context.run(produce)

    def tell(self, result: T | None, error: BaseException | None) -> None:
        """Hand the outcome to whoever waits for it."""
        deliver = self._deliver
        del self._call, self._context, self._deliver
        deliver(result, error)
