"""How far a run is, and how long it will take: guessed from the pace, then from what the first visits took."""

import time
from collections.abc import Callable, Mapping, Sequence

from benchmarks.compare.measuring import Pace
from benchmarks.compare.workloads import CURVE_ROWS, WORKERS, Workload

VISIT_SECONDS = 5.0
"""To start, check and end a server."""

_SECONDS: Mapping[str, Callable[[float], float]] = {
    "load": lambda load: load,
    "curve": lambda load: len(CURVE_ROWS) * load,
    "scaling": lambda load: 2 * (load + VISIT_SECONDS),
    "idle": lambda load: 2 * load + VISIT_SECONDS + 15.0,
    "overload": lambda load: 10 * load,
    "upload": lambda load: VISIT_SECONDS + 8.0,
    "memory": lambda load: len(WORKERS) * (VISIT_SECONDS + 4.0),
    "imports": lambda load: 5.0,
}
"""Seconds by kind, given those of one load with its warm-up."""


def seconds_of(workload: Workload, pace: Pace) -> float:
    """About how long one server takes for it, once it runs."""
    guess = _SECONDS.get(workload.kind)
    return guess((pace.warm + pace.seconds) * workload.stretch) if guess else 0.0


def seconds_of_visit(workloads: Sequence[Workload], pace: Pace) -> float:
    return VISIT_SECONDS + sum(seconds_of(workload, pace) for workload in workloads)


class Progress:
    """Counts guessed seconds; what they were worth so far tells what the rest will take."""

    def __init__(self, total: float) -> None:
        self._total, self._done = total, 0.0
        self._begin = time.monotonic()

    def note(self, seconds: float) -> str:
        """After something that was guessed to take ``seconds``: what to tell."""
        self._done += seconds
        passed = time.monotonic() - self._begin
        left = max(self._total - self._done, 0.0) * passed / self._done if self._done else self._total
        return f"{min(self._done / self._total, 1.0):4.0%} done, {_minutes(passed)} passed, about {_minutes(left)} left"


def _minutes(seconds: float) -> str:
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"
