"""Predict one request in many both ways in the background; a difference switches back to the original."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

from datarobot_drum.drum.compiled_models.comparison import is_equal, largest_difference
from datarobot_drum.drum.compiled_models.forms import Step

logger = logging.getLogger(__name__)

THREAD_NAME = "compiled-model-audit"


class BackgroundAudit:
    """Compares every ``interval``-th prediction in a thread of its own, one at a time.

    Args:
        original: the model that the compiled form was proven equal to.
        on_difference: called once a prediction differs.
    """

    def __init__(self, original: Step, interval: int, on_difference: Callable[[], object], *, exact: bool) -> None:
        self._original = original
        self._interval = interval
        self._on_difference = on_difference
        self._exact = exact
        self._calls = count(1)
        self._running = threading.Lock()

    def consider(self, samples: Callable[[], Any], output: Any) -> None:
        """Compare this prediction if it is its turn and no other comparison runs."""
        if next(self._calls) % self._interval or not self._running.acquire(blocking=False):
            return
        arguments = copy.copy(samples()), copy.deepcopy(output)
        threading.Thread(target=self._compare, args=arguments, name=THREAD_NAME, daemon=True).start()

    def _compare(self, samples: Any, output: Any) -> None:
        try:
            expected = self._original(samples)
        except Exception:  # any error of the model; the compiled form should have left these samples to it
            logger.exception("The model rejects samples that its compiled form predicted.")
            self._on_difference()
        else:
            if not is_equal(expected, output, exact=self._exact):
                difference = largest_difference(expected, output)
                logger.error(
                    "The compiled model predicted other values than the original (largest difference %g): from now on "
                    "the original predicts. Please report the model's kind and library versions.",
                    difference,
                )
                self._on_difference()
        finally:
            self._running.release()
