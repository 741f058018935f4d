"""Progress and remaining time of a run, estimated from the pace, then from elapsed time."""

import time
from collections.abc import Callable, Mapping, Sequence

from benchmarks.compare.run import Pace
from benchmarks.compare.workloads import CURVE_ROWS, WORKERS, Workload

RUN_SECONDS = 5.0
"""The time to start, check and stop a server."""

_SECONDS: Mapping[str, Callable[[float], float]] = {
    "load": lambda load: load,
    "curve": lambda load: len(CURVE_ROWS) * load,
    "scaling": lambda load: 2 * (load + RUN_SECONDS),
    "idle": lambda load: 2 * load + RUN_SECONDS + 15.0,
    "overload": lambda load: 10 * load,
    "upload": lambda load: RUN_SECONDS + 8.0,
    "memory": lambda load: len(WORKERS) * (RUN_SECONDS + 4.0),
    "imports": lambda load: 5.0,
}
"""Seconds by kind, given those of one load with its warm-up."""


def seconds_of(workload: Workload, pace: Pace) -> float:
    """Estimate the seconds that one server takes for the workload."""
    estimate = _SECONDS.get(workload.kind)
    return estimate((pace.warm + pace.seconds) * workload.duration_factor) if estimate else 0.0


def seconds_of_run(workloads: Sequence[Workload], pace: Pace) -> float:
    return RUN_SECONDS + sum(seconds_of(workload, pace) for workload in workloads)


class Progress:
    """Counts estimated seconds; their ratio to elapsed time gives the remaining time."""

    def __init__(self, total: float) -> None:
        self._total, self._done = total, 0.0
        self._start = time.monotonic()

    def record(self, seconds: float) -> str:
        """Count a step that was estimated to take ``seconds`` and return the progress as text."""
        self._done += seconds
        elapsed = time.monotonic() - self._start
        left = max(self._total - self._done, 0.0) * elapsed / self._done if self._done else self._total
        share = min(self._done / self._total, 1.0)
        return f"{share:4.0%} done, {_minutes(elapsed)} elapsed, about {_minutes(left)} left"


def _minutes(seconds: float) -> str:
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"
