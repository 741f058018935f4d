"""Limits the bytes of request bodies that one process holds in memory."""

import threading


class MemoryBudget:
    """Counts the bytes of all request bodies in memory.

    A body reserves memory before it is stored. When a reservation fails the body goes to a temporary file, so the
    budget never rejects a request.

    Args:
        limit: bytes that may be reserved; 0 for no limit.
    """

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._used = 0

    @classmethod
    def for_process(cls, size: int) -> "MemoryBudget":
        """Return the budget of a process that may use about ``size`` bytes for requests; 0 for no limit.

        Bodies get three eighths. The rest is for chunks in flight, which flow control bounds for each connection, and
        for gaps in the heap.
        """
        return cls(size * 3 // 8)

    @property
    def used(self) -> int:
        """Bytes reserved now."""
        return self._used

    def reserve(self, size: int) -> bool:
        """Reserve ``size`` bytes and return True, or reserve nothing and return False."""
        with self._lock:
            if self.would_exceed(size):
                return False
            self._used += size
            return True

    def would_exceed(self, size: int) -> bool:
        """Return whether ``size`` more bytes pass the limit."""
        return bool(self.limit) and self._used + size > self.limit

    def release(self, size: int) -> None:
        """Return ``size`` reserved bytes."""
        with self._lock:
            self._used -= size


UNLIMITED = MemoryBudget()
"""For an upload without a budget: one that a framework has stored already, or one outside of a server."""
