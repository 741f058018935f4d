"""Pauses between the starts of workers that end soon after their start, and the end of a crash loop."""

import time
from collections.abc import Callable

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds; each pause in a row is twice as long as the one before."""

HEALTHY_SECONDS = 60.0
"""Seconds that a worker runs before its end is an accident and not a part of a crash loop."""

EARLY_SECONDS = 5.0
"""Seconds within which even an end in order makes a pause: the worker would be restarted in a tight loop."""

MAX_FAILURES = 10
"""Failures in a row that end the server."""


class RestartPauses:
    """Decides when the next worker may start.

    Workers that end during a pause belong to the failure that began it: one cause may end all of them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._start_at = 0.0

    @property
    def seconds_left(self) -> float:
        """Seconds until a worker may start; 0 outside a pause."""
        return max(0.0, self._start_at - self._clock())

    @property
    def is_crash_loop(self) -> bool:
        """Whether restarts do not help."""
        return self._failures >= MAX_FAILURES

    def count_end(self, age: float, *, failed: bool, oldest: float) -> None:
        """Count the end of a worker.

        Args:
            age: seconds since its start.
            oldest: the age of the oldest worker, this one included; a healthy one shows that the model can be served.
        """
        if self.seconds_left:
            return
        if oldest >= HEALTHY_SECONDS:
            self._failures = 0
        if failed and age < HEALTHY_SECONDS:
            self._failures += 1
            self._start_at = self._clock() + min(FIRST_PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE)
        elif age < EARLY_SECONDS:
            self._start_at = self._clock() + FIRST_PAUSE
