"""Run a compilation in the background, with pauses for requests. What it takes is imported there, not at the start."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from datarobot_drum.drum.compiled_models.forms import Stopped

if TYPE_CHECKING:
    from datarobot_drum.drum.compiled_models.job import CompilationJob

logger = logging.getLogger(__name__)

THREAD_NAME = "model-compilation"

_START_DELAY = 1.0
"""Seconds after the load in which first requests are predicted without competition."""
_MAX_PAUSE = 0.5


class Compilation:
    """The compilation of a model, in a thread or in that of the caller.

    Args:
        create: return the job.
    """

    def __init__(self, create: Callable[[], CompilationJob]) -> None:
        self._create = create
        self._stopped = threading.Event()

    def start(self) -> threading.Thread:
        """Run in a thread, with pauses for requests."""
        thread = threading.Thread(target=self._run_in_background, name=THREAD_NAME, daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Ask the thread to end after its current step."""
        self._stopped.set()

    def run(self) -> str:
        """Run in this thread, without pauses; return one sentence on the result."""
        return self._create().run()

    def _run_in_background(self) -> None:
        if self._stopped.wait(_START_DELAY):
            return
        try:
            self._create().run(self._pause)
        except Stopped:
            logger.debug("The worker stopped before the model was compiled.")

    def _pause(self, seconds: float) -> None:
        """Leave the processor to requests for as long as the last step took it."""
        if self._stopped.wait(min(seconds, _MAX_PAUSE)):
            raise Stopped
