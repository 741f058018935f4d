"""Deadlines of many calls on few timers.

Each timer wakes its event loop, which then has to get Python's interpreter back from the predictions that compute.
Under overload it is refusals, one a waiting client, that keep the loop busy; so those that are due at about the same
time share a timer.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

GRAIN = 0.05
"""Seconds by which an alarm may come late."""


class Alarms(Generic[T]):
    """Calls ``ring`` with each item when its time has come, in the order in which they were set.

    All of one event loop, and used in its thread alone.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[T], object]) -> None:
        self.loop = loop
        self._ring = ring
        self._due: dict[int, dict[T, None]] = {}

    def set(self, item: T, seconds: float) -> Callable[[], object]:
        """Ring for ``item`` after ``seconds``; returns what takes that back."""
        grain = math.ceil((self.loop.time() + seconds) / GRAIN)
        if grain not in self._due:
            self._due[grain] = {}
            self.loop.call_at(grain * GRAIN, self._ring_all, grain)
        items = self._due[grain]
        items[item] = None
        return lambda: items.pop(item, None)

    def _ring_all(self, grain: int) -> None:
        for item in list(self._due.pop(grain)):
            self._ring(item)
