"""Measure for how many rows a compiled form is faster than the original."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from datarobot_drum.drum.compiled_models.forms import CannotCompileError, Step

MANY_ROWS = 1000
_REPETITIONS = {1: 15, MANY_ROWS: 5}
_SECONDS = 0.3
"""Maximum time of a series of measurements, apart from one of each way."""
_MAX_SECONDS = 2.0
"""Maximum time of the original for many rows: the proof of a slower model would take the processor from requests."""
_MIN_SPEEDUP = 1.05
_MARGIN = 2
"""The compiled form is used this far from the number of rows where both are equally fast, which is a rough estimate."""


@dataclass(frozen=True)
class Speed:
    """Seconds of the original and of the compiled form, for one row and for many."""

    original: tuple[float, float]
    compiled: tuple[float, float]

    @property
    def speedup(self) -> dict[str, float]:
        """How many times faster the compiled form is, by the number of rows."""
        ratios = (old / new for old, new in zip(self.original, self.compiled, strict=True))
        return {str(rows): _rounded(ratio) for rows, ratio in zip((1, MANY_ROWS), ratios, strict=True)}

    @property
    def faster_rows(self) -> range:
        """The numbers of rows for which the compiled form is faster, by a straight line through both measurements."""
        one, many = (old / new >= _MIN_SPEEDUP for old, new in zip(self.original, self.compiled, strict=True))
        if one and many:
            return range(1, sys.maxsize)
        if not one and not many:
            return range(0)
        crossing = 1 + _crossing(self.original, self.compiled)
        return range(1, max(2, int(crossing / _MARGIN) + 1)) if one else range(int(crossing * _MARGIN) + 1, sys.maxsize)


def measure(original: Step, compiled: Step, samples: Callable[[int], Any], pause: Callable[[float], None]) -> Speed:
    """Measure both ways in turn, on one row and on 1,000.

    Raises:
        CannotCompileError: the model takes too long.
    """
    one, many = (_measure(original, compiled, samples(rows), _REPETITIONS[rows], pause) for rows in _REPETITIONS)
    return Speed((one[0], many[0]), (one[1], many[1]))


def _measure(
    original: Step, compiled: Step, data: Any, repetitions: int, pause: Callable[[float], None]
) -> tuple[float, float]:
    """Return the least seconds of each way: other threads only add to them."""
    best, end = [float("inf"), float("inf")], time.monotonic() + _SECONDS
    for _ in range(repetitions):
        for way, step in enumerate((original, compiled)):
            copied = data.copy()
            start = time.perf_counter()
            step(copied)
            best[way] = min(best[way], time.perf_counter() - start)
            if best[way] > _MAX_SECONDS:
                raise CannotCompileError(f"it takes {best[way]:.0f} seconds for {len(data):,} rows")
            pause(best[way])
        if time.monotonic() > end:
            break
    return best[0], best[1]


def _crossing(original: tuple[float, float], compiled: tuple[float, float]) -> float:
    """Return the share of the way from one row to many where the lines cross, in rows."""
    start, end = original[0] - compiled[0], compiled[1] - original[1]
    return (MANY_ROWS - 1) * max(0.0, min(1.0, start / (start + end)))


def _rounded(ratio: float) -> float:
    return float(f"{ratio:.3g}")
