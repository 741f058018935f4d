"""``signal.signal`` in hooks: the same on all servers, whichever thread runs the hook.

Python sets handlers in the main thread only. FastAPI loads and predicts in other threads, Flask predicts in them. So a
call of another thread is carried out in the main thread, which a real-time signal interrupts for it. Signals that stop
the server stay with the server.
"""

import logging
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from types import FrameType
from typing import Any

logger = logging.getLogger(__name__)

MAIN_THREAD_SECONDS = 5.0
"""Timeout of the main thread, which does not run Python while a library holds the GIL or computes in it."""

_SERVER_PACKAGES = frozenset({"datarobot_drum", "gunicorn", "uvicorn"})

_set_handler = signal.signal


class HookHandler:
    """A signal handler of model code. Outside hooks, an exception of it is logged: it would end the server."""

    def __init__(self, handler: Callable[..., Any]) -> None:
        self.handler = handler

    def __call__(self, number: int, frame: Any) -> None:
        try:
            self.handler(number, frame)
        except BaseException:
            if hook_signals.main_thread_runs_hooks or not hook_signals.is_active:
                raise
            logger.exception("The model's handler of %s failed.", signal.Signals(number).name)


class HookSignals:
    """Replaces ``signal.signal`` in a process that runs model code."""

    def __init__(self) -> None:
        self.main_thread_runs_hooks = True
        """False once hooks run in other threads only."""
        self._pid = 0
        self._calls: deque[tuple[Future[Any], int, Any]] = deque()

    @property
    def is_active(self) -> bool:
        """Return True in the process that called ``install``, False in forks of it."""
        return self._pid == os.getpid()

    def install(self, *, main_thread_runs_hooks: bool = True) -> None:
        """Carry out the calls of hooks from now on; call it in the main thread."""
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGRTMAX"):
            return
        self._pid = os.getpid()
        self.main_thread_runs_hooks = main_thread_runs_hooks
        _set_handler(_call_signal(), self._run_calls)
        signal.signal = self.set_handler  # type: ignore[assignment]

    def set_handler(self, number: int, handler: Any) -> Any:
        """Set a handler and return the previous one, as ``signal.signal`` does."""
        if not self.is_active or _calling_package(sys._getframe(1)) in _SERVER_PACKAGES:
            return _set_handler(number, handler)
        previous = _unwrapped(signal.getsignal(number))
        if number in _server_signals():
            if handler != previous:
                logger.warning(
                    "A handler of %s in model code is not installed: the server needs the signal to stop.",
                    signal.Signals(number).name,
                )
            return previous
        self._set_in_any_thread(number, HookHandler(handler) if _needs_wrapper(handler) else handler)
        return previous

    def _set_in_any_thread(self, number: int, handler: Any) -> None:
        try:
            _set_handler(number, handler)
        except ValueError:  # it is not the main thread
            if number not in signal.valid_signals():
                raise
            self._set_in_main_thread(number, handler)

    def _set_in_main_thread(self, number: int, handler: Any) -> None:
        done: Future[Any] = Future()
        self._calls.append((done, number, handler))
        os.kill(os.getpid(), _call_signal())  # the kernel delivers it to the main thread
        try:
            done.result(MAIN_THREAD_SECONDS)
        except FutureTimeoutError:
            name = signal.Signals(number).name
            logger.warning("A handler of %s in model code is installed later: the main thread is busy.", name)

    def _run_calls(self, number: int, frame: Any) -> None:
        while self._calls:
            done, signal_number, handler = self._calls.popleft()
            try:
                done.set_result(_set_handler(signal_number, handler))
            except Exception as error:  # it belongs to the caller
                done.set_exception(error)


hook_signals = HookSignals()
"""The signals of this process."""


def is_hook_handler(handler: Any) -> bool:
    """Return True if model code has set this handler."""
    return isinstance(handler, HookHandler)


def ignore_signal(number: int, frame: Any) -> None:
    """Handle a signal by doing nothing. Programs that model code starts would inherit ``SIG_IGN``, but no handler."""


def _calling_package(frame: FrameType | None) -> str:
    """Return the package that calls ``signal.signal``, perhaps through gevent's replacement of it."""
    package = ""
    while frame is not None and (package := frame.f_globals.get("__name__", "").partition(".")[0]) == "gevent":
        frame = frame.f_back
    return package


def _needs_wrapper(handler: Any) -> bool:
    return callable(handler) and handler is not signal.default_int_handler and not isinstance(handler, HookHandler)


def _unwrapped(handler: Any) -> Any:
    return handler.handler if isinstance(handler, HookHandler) else handler


def _server_signals() -> frozenset[int]:
    """Return the signals that stop a server of any type."""
    return frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT})


def _call_signal() -> int:
    """Return the signal that makes the main thread run the calls of other threads."""
    return signal.SIGRTMAX - 2
