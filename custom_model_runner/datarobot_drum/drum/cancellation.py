"""Requests whose client does not wait for the response any more: it has disconnected, or got a timeout.

Work for such a request cannot be interrupted; it asks at its checkpoints, in the thread or the context of the request.
"""

from collections.abc import Callable
from contextvars import ContextVar

from datarobot_drum.drum.exceptions import RequestCancelled


def _is_connected() -> bool:
    return False


class Cancellation:
    """Whether the client of one request still waits.

    ``has_disconnected`` is asked at each check, in any thread, and must not block.
    """

    __slots__ = ("_is_set", "has_disconnected")

    def __init__(self) -> None:
        self._is_set = False
        self.has_disconnected: Callable[[], bool] = _is_connected

    def set(self) -> None:
        """Make every later check true."""
        self._is_set = True

    def check(self) -> bool:
        """Return whether the client has disconnected or got a timeout."""
        if not self._is_set and self.has_disconnected():
            self._is_set = True
        return self._is_set

    def end(self) -> None:
        """Ask the client no more: the request is complete."""
        self.has_disconnected = _is_connected


_current: ContextVar[Cancellation | None] = ContextVar("drum_cancellation", default=None)


def enter_request(cancellation: Cancellation | None) -> None:
    """Make the checks in this context ask for a request, or for none."""
    _current.set(cancellation)


def cancelled() -> bool:
    """Return whether the client of the current request has disconnected or got a timeout; False outside a request.

    A hook that takes long may ask this between its steps, and raise any exception to end: no client sees it.
    """
    cancellation = _current.get()
    return cancellation is not None and cancellation.check()


def stop_if_cancelled() -> None:
    """End work whose result no client waits for.

    Raises:
        RequestCancelled: no client waits.
    """
    if cancelled():
        raise RequestCancelled("The client has disconnected, or got a timeout.")
