"""How many bytes of request bodies one process may hold in memory, all of them together."""

import threading


class MemoryBudget:
    """Bytes that uploads reserve before they keep them in memory; 0 for no limit.

    Whoever is refused writes to disk instead, so the budget never refuses a request.
    """

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._used = 0
        self.passed = 0
        """Bytes of bodies that were in memory, if only on their way to disk, and are no more."""

    @property
    def used(self) -> int:
        return self._used

    @property
    def is_half_used(self) -> bool:
        return self._used > self.limit / 2 > 0

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


UNLIMITED = MemoryBudget()
"""For uploads that stand alone, as in a test."""
