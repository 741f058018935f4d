"""Entries of the executor's queue: calls for a pool thread, and threads that wait to run the work themselves."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from datarobot_drum.drum.serving.request_facts import RequestFacts, current_facts

State = Enum("State", ["QUEUED", "RUNNING", "FINISHED", "NEVER_RUN"])


@dataclass(slots=True, eq=False)
class QueueEntry(ABC):
    """One call from its arrival to its end. The executor's lock guards its state."""

    arrived: float
    deadline: float
    started: float = field(default=0.0, init=False)
    state: State = field(default=State.QUEUED, init=False)
    thread: int = field(default=0, init=False)
    """The pool thread that runs the call; 0 until then."""
    facts: RequestFacts | None = field(default_factory=current_facts.get, init=False)
    """Of the request that waits."""

    @property
    def has_started(self) -> bool:
        return self.state is State.RUNNING or self.state is State.FINISHED

    @abstractmethod
    def reject(self, error: Exception) -> None:
        """Raise ``error`` in the caller: the work will never run."""


@dataclass(slots=True, eq=False)
class CallerThreadEntry(QueueEntry):
    """A thread that runs the work itself once its ``slot`` is free."""

    slot: Future[None] = field(default_factory=Future, init=False)

    def reject(self, error: Exception) -> None:
        self.slot.set_exception(error)


@dataclass(slots=True, eq=False)
class QueuedCall(QueueEntry):
    """A function for a pool thread; ``on_outcome`` receives its result and its error.

    The references are dropped before that: the traceback of an error refers to the entry.
    """

    function: Callable[[], Any]
    on_outcome: Callable[[Any, BaseException | None], object]
    context: Context = field(default_factory=copy_context, init=False)

    def set_outcome(self, result: Any, error: BaseException | None) -> None:
        on_outcome = self.on_outcome
        del self.context, self.function, self.on_outcome
        on_outcome(result, error)

    def reject(self, error: Exception) -> None:
        self.set_outcome(None, error)


@dataclass(slots=True, eq=False)
class ResumedStream(CallerThreadEntry):
    """The thread of a stream that was paused and takes a slot again, for its ``call``."""

    call: QueuedCall
