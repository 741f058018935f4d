"""The size of a model in memory, as far as its pickle shows it."""

from __future__ import annotations

import pickle
from typing import Any


class _Counter:
    """A file that only counts the bytes that are written to it."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: Any) -> int:
        written = memoryview(data).nbytes
        self.size += written
        return written


def model_size(model: Any) -> int:
    """Return the bytes of the model's pickle, without making it; 0 for a model that cannot be pickled."""
    counter = _Counter()
    try:
        pickle.Pickler(counter, protocol=5).dump(model)
    except Exception:  # any object may be part of a model
        return 0
    return counter.size


def format_size(size: int) -> str:
    return f"{size / 1e6:.3g} MB" if size else "unknown"
