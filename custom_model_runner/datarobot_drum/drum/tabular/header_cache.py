"""A cache of what is made of a header: many narrow ones stay in memory, and few wide ones."""

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import TypeVar

NARROW_ENTRIES, WIDE_ENTRIES = 64, 4

Key = TypeVar("Key", bound=Sequence[Hashable])
Value = TypeVar("Value")


def cached_by_width(make: Callable[[Key], Value], narrow: int, wide: int) -> Callable[[Key], Value]:
    """Return ``make`` with a cache of its results.

    Args:
        narrow: the maximum length of a key among the last ``NARROW_ENTRIES``.
        wide: the same among the last ``WIDE_ENTRIES``; nothing is kept of longer keys.
    """
    of_narrow, of_wide = lru_cache(NARROW_ENTRIES)(make), lru_cache(WIDE_ENTRIES)(make)

    def cached(key: Key) -> Value:
        if len(key) <= narrow:
            return of_narrow(key)
        return of_wide(key) if len(key) <= wide else make(key)

    return cached
