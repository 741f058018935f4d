"""Deadlines of many calls on one timer.

Each timer wakes its event loop, which then has to get Python's interpreter back from the predictions that compute.
Under overload it is refusals, one a waiting client, that keep the loop busy; so those that are due at about the same
time ring together.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

GRAIN = 0.05
"""Seconds by which an alarm may come late."""


class Alarms(Generic[T]):
    """Calls ``ring`` with each item ``seconds`` after it was set, in the order in which they were set.

    Used in the thread of an event loop alone. What was set on another loop, which must have ended, is forgotten.
    """

    def __init__(self, seconds: float, ring: Callable[[T], object]) -> None:
        self._seconds = seconds
        self._ring = ring
        self._due: dict[T, float] = {}  # the same wait for all: who came first is due first
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_armed = False

    def set(self, item: T) -> None:
        """Ring for ``item``, which is not set yet."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._is_armed = loop, False
            self._due.clear()
        self._due[item] = due = loop.time() + self._seconds
        if not self._is_armed:
            self._arm(loop, due)

    def forget(self, item: T) -> None:
        """Do not ring for ``item``, if that was to be."""
        self._due.pop(item, None)

    def _arm(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        self._is_armed = True
        loop.call_at(when, self._ring_due, loop)

    def _ring_due(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_armed = False
        now = loop.time()
        items = []
        for item, due in self._due.items():
            if due > now:
                self._arm(loop, max(due, now + GRAIN))
                break
            items.append(item)
        for item in items:
            if self._due.pop(item, None) is not None:  # else one before it has taken it back
                self._ring(item)
