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

    All of one event loop, and used in its thread alone.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, ring: Callable[[T], object]) -> None:
        self.loop = loop
        self._seconds = seconds
        self._ring = ring
        self._due: dict[T, float] = {}  # the same wait for all: who came first is due first
        self._is_armed = False

    def set(self, item: T) -> None:
        """Ring for ``item``, which is not set yet."""
        self._due[item] = due = self.loop.time() + self._seconds
        if not self._is_armed:
            self._arm(due)

    def forget(self, item: T) -> None:
        """Do not ring for ``item``, if that was to be."""
        self._due.pop(item, None)

    def _arm(self, when: float) -> None:
        self._is_armed = True
        self.loop.call_at(when, self._ring_due)

    def _ring_due(self) -> None:
        self._is_armed = False
        now = self.loop.time()
        items = []
        for item, due in self._due.items():
            if due > now:
                self._arm(max(due, now + GRAIN))
                break
            items.append(item)
        for item in items:
            if self._due.pop(item, None) is not None:  # else one before it has taken it back
                self._ring(item)
