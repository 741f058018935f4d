"""How many bytes of request bodies one process may hold in memory, all of them together."""

import threading

PIECES = (1024 * 1024, 256 * 1024, 64 * 1024, 16 * 1024)
"""Bytes that a body comes in; few sizes, so that one piece fits where another one was."""

LARGEST_PIECE, SMALLEST_PIECE = PIECES[0], PIECES[-1]

_SHARE = 2
"""A piece is at most this part of what is free for pieces, so those that come at once do not take all of it."""


class MemoryBudget:
    """Bytes of bodies that one process holds in memory, all of them together.

    Bodies reserve what they keep; whoever is refused writes to disk instead, so the budget never refuses a request.
    What is under way between a socket and its place cannot be refused; it comes in smaller pieces the more there is.

    Args:
        limit: bytes of bodies that are kept; 0 for no limit.
        under_way: bytes under way, beside ``limit``; 0 for no limit.
    """

    def __init__(self, limit: int = 0, under_way: int = 0) -> None:
        self.limit = limit
        self._most_under_way = under_way
        self._lock = threading.Lock()
        self._used = 0
        self._under_way = 0
        self.passed = 0
        """Bytes of bodies that were in memory, if only on their way to disk, and are no more."""

    @classmethod
    def of(cls, size: int) -> "MemoryBudget":
        """One that keeps the growth of a process at about ``size`` bytes; 0 for no limit.

        Three eighths are for bodies, one for what is under way. The rest is what goes with them: connections, buffers
        of files, gaps in the heap (``benchmarks/uploads.py``).
        """
        return cls(size * 3 // 8, size // 8)

    @property
    def used(self) -> int:
        return self._used

    @property
    def piece(self) -> int:
        """Bytes that one upload should take in at a time now."""
        if not self._most_under_way:
            return LARGEST_PIECE
        share = (self._most_under_way - self._under_way) // _SHARE
        return next((piece for piece in PIECES if piece <= share), SMALLEST_PIECE)

    def reserve(self, size: int) -> bool:
        """Take ``size`` bytes, all or nothing."""
        with self._lock:
            if self.would_refuse(size):
                return False
            self._used += size
            return True

    def would_refuse(self, size: int) -> bool:
        return bool(self.limit) and self._used + size > self.limit

    def release(self, size: int) -> None:
        with self._lock:
            self._used -= size
            self.passed += size

    def count_under_way(self, change: int) -> None:
        """So many bytes more are under way, or fewer."""
        with self._lock:
            self._under_way += change
            self.passed -= min(change, 0)


UNLIMITED = MemoryBudget()
"""For uploads that stand alone, as in a test."""
