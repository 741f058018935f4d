"""Memory that large bodies leave behind, given back to the system.

What a body took is free once it is on disk or answered, but the C library keeps it: pieces of many uploads lie between
each other, and none of it is at the end of the heap (benchmarks/uploads.py).
"""

import ctypes
from collections.abc import Callable

from datarobot_drum.drum.serving.body.memory_budget import MemoryBudget

TRIM_AFTER = 16 * 1024 * 1024
"""Bytes of bodies that must have passed; to trim costs milliseconds, so not for every request."""


def heap_trimmer(budget: MemoryBudget) -> Callable[[], None]:
    """Something to be called now and then, on a thread of its own, that trims the heap when it is worth it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc; others give memory back by themselves
    trimmed_at = 0

    def trim_heap() -> None:
        nonlocal trimmed_at
        if trim is not None and budget.passed - trimmed_at >= TRIM_AFTER:
            trimmed_at = budget.passed
            trim(0)

    return trim_heap
