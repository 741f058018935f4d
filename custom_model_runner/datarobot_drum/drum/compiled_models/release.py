"""Let the trees of a compiled model go, and load them again when the original has to predict.

Only scikit-learn's ensembles let go: all else that a request needs of them (names, classes) are other attributes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datarobot_drum.drum.compiled_models.comparison import is_equal
from datarobot_drum.drum.compiled_models.forms import Step
from datarobot_drum.drum.compiled_models.original_classes import class_name
from datarobot_drum.drum.exceptions import PredictionError
from datarobot_drum.drum.file_digest import digest_of

logger = logging.getLogger(__name__)

_TREES = {
    "RandomForestClassifier": "estimators_",
    "RandomForestRegressor": "estimators_",
    "ExtraTreesClassifier": "estimators_",
    "ExtraTreesRegressor": "estimators_",
    "GradientBoostingClassifier": "estimators_",
    "GradientBoostingRegressor": "estimators_",
    "HistGradientBoostingClassifier": "_predictors",
    "HistGradientBoostingRegressor": "_predictors",
}
"""The attribute with the trees, by class."""


@dataclass(frozen=True)
class StoredModel:
    """The file of a model, and the function that loads it."""

    path: Path
    load: Callable[[], Any]


class ReleasableOriginal:
    """The method of a model whose trees may be let go while no call needs them."""

    def __init__(self, original: Step, model: Any, method: str, stored: StoredModel) -> None:
        self._original = original
        self._method = method
        self._ensemble = _ensemble_of(model)
        self._attribute = _TREES.get(class_name(self._ensemble), "")
        self._stored = stored
        self._lock = threading.Lock()
        self._running = 0
        self._digest: str | None = None
        """The digest of the file whose trees were let go; None while they are there."""

    def __call__(self, samples: Any) -> Any:
        return self.run(self._original, samples)

    def run(self, method: Step, samples: Any) -> Any:
        """Call a method of the model, with its trees.

        Raises:
            PredictionError: the trees were let go, and the file is another one now.
        """
        with self._lock:
            self._restore()
            self._running += 1
        try:
            return method(samples)
        finally:
            with self._lock:
                self._running -= 1

    def release(self, samples: Any) -> bool:
        """Let the trees go if the file predicts the samples as the model does; return True if they are gone."""
        if not self._attribute:
            return False
        try:
            digest, expected = digest_of(self._stored.path), self(samples)
            again = getattr(self._stored.load(), self._method)(samples)
        except Exception:  # the file is gone, or is another model
            logger.debug("The original model cannot be loaded again.", exc_info=True)
            return False
        if not is_equal(expected, again, exact=True):
            return False
        with self._lock:
            if self._running or self._digest is not None:
                return False
            delattr(self._ensemble, self._attribute)
            self._digest = digest
        return True

    def _restore(self) -> None:
        """Load the trees again; the lock is held."""
        if self._digest is None:
            return
        if not self._is_same_file():
            name = self._stored.path.name
            raise PredictionError(f"{name} has changed since the model was loaded: restart the server.")
        loaded = _ensemble_of(self._stored.load())
        setattr(self._ensemble, self._attribute, getattr(loaded, self._attribute))
        self._digest = None
        logger.info("The original model was loaded again: its compiled form does not cover all samples.")

    def _is_same_file(self) -> bool:
        try:
            return digest_of(self._stored.path) == self._digest
        except OSError:
            return False


def _ensemble_of(model: Any) -> Any:
    return model.steps[-1][1] if class_name(model) == "Pipeline" else model
