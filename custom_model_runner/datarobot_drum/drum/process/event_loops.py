"""``asyncio.get_event_loop`` in hooks: the same on all servers, whichever thread runs the hook.

Before Python 3.14 it creates an event loop in the main thread and raises in all others. Hooks run in the main thread
of a gunicorn ``sync`` worker, in other threads on FastAPI and Flask.
"""

import asyncio
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING or sys.version_info < (3, 14):

    class HookLoopPolicy(asyncio.DefaultEventLoopPolicy):
        """Gives a thread without an event loop the one of the model's load if it is free, else a new one."""

        def __init__(self) -> None:
            super().__init__()
            self._latest = threading.local()
            self._loaded: asyncio.AbstractEventLoop | None = None

        def get_event_loop(self) -> asyncio.AbstractEventLoop:
            try:
                return super().get_event_loop()
            except RuntimeError:
                loop = self._loaded
                if loop is None or loop.is_closed() or loop.is_running():
                    loop = self.new_event_loop()
                self.set_event_loop(loop)
                return loop

        def set_event_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
            super().set_event_loop(loop)
            self._latest.loop = loop

        def keep_loop_of_load(self) -> None:
            """Use the event loop of this thread, if it has one, for hooks in other threads."""
            self._loaded = getattr(self._latest, "loop", None)


def provide_event_loops() -> None:
    """Let ``asyncio.get_event_loop`` work in every thread of this process."""
    if sys.version_info < (3, 14) and not isinstance(asyncio.get_event_loop_policy(), HookLoopPolicy):
        asyncio.set_event_loop_policy(HookLoopPolicy())


def keep_loop_of_load() -> None:
    """Use the event loop of the thread that has loaded the model for its later hooks."""
    if sys.version_info < (3, 14):
        policy = asyncio.get_event_loop_policy()
        if isinstance(policy, HookLoopPolicy):
            policy.keep_loop_of_load()
