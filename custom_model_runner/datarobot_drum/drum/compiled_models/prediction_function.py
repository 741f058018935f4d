"""The function that a bound model calls: the original, or a compiled form of it for the samples that it covers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from datarobot_drum.drum.compiled_models.forms import NotCoveredError, Step
from datarobot_drum.drum.tabular.lazy_pandas import pd

logger = logging.getLogger(__name__)

MAX_SAMPLE_ROWS = 1000


class Audit(Protocol):
    """Compares some predictions of the compiled form with those of the original."""

    def consider(self, samples: Callable[[], Any], output: Any) -> None:
        """Compare the output, now and then; ``samples`` returns them as the original takes them."""


class State(Protocol):
    """The state of a model that code of its owner may change."""

    def is_unchanged(self) -> bool:
        """Return True if the model is still the one that was compiled."""


@dataclass(frozen=True, eq=False)
class ActiveForm:
    """A proven form, the numbers of rows for which it is faster, and what ``/info/`` shows of it.

    ``state`` is that of the model when it was compiled; None if no code of its owner gets it.
    """

    predict: Step
    rows: range
    info: Mapping[str, Any]
    audit: Audit | None = None
    state: State | None = None


class PredictionFunction:
    """A method of a model that may be replaced by a compiled form while it is in use.

    Args:
        original: the method of the model.
        model: the model, and the name of the method to compile.
        reads_arrays: True if the original predicts an array as a frame of the same numbers.
    """

    def __init__(self, original: Step, model: Any, method: str, *, reads_arrays: bool = False) -> None:
        self.original = original
        self.model = model
        self.method = method
        self.reads_arrays = reads_arrays
        self.sample: Any = None
        """The first samples that were predicted before ``stop_recording``: those of the warm-up."""
        self._names = _feature_names(model)
        self._is_recording = True
        self._active: ActiveForm | None = None

    def __call__(self, data: Any, to_original: Callable[[], Any] | None = None) -> Any:
        """Return the output of the original.

        Args:
            to_original: return the samples as the original takes them, if ``data`` are not.
        """
        active = self._active
        if active is not None and self._is_covered(active, data):
            try:
                output = active.predict(data)
            except NotCoveredError:
                pass
            except Exception:  # whatever it is: the original predicts or raises the error that the client gets
                logger.debug("The compiled form failed.", exc_info=True)
            else:
                if active.audit is not None:
                    active.audit.consider(to_original or (lambda: data), output)
                return output
        samples = data if to_original is None else to_original()
        if self._is_recording:
            self._record(samples)
        return self.original(samples)

    def _is_covered(self, active: ActiveForm, data: Any) -> bool:
        """Return True for a table with the columns of the model and a number of rows for which the form is faster."""
        if type(data) is np.ndarray:
            is_table = data.ndim == 2
        else:
            is_table = type(data) is pd.DataFrame and self._names in (None, data.columns.tolist())
        return is_table and len(data) in active.rows and self._is_unchanged(active)

    def _is_unchanged(self, active: ActiveForm) -> bool:
        if active.state is None or active.state.is_unchanged():
            return True
        logger.warning(
            "A hook has changed the model after it was compiled: from now on the original predicts. "
            "DRUM_COMPILE=off compiles nothing."
        )
        self.deactivate()
        return False

    def _record(self, samples: Any) -> None:
        """Keep a copy of a table; anything else that hooks return shows nothing of columns."""
        self._is_recording = False
        if isinstance(samples, np.ndarray | pd.DataFrame) and samples.ndim == 2:
            self.sample = samples[:MAX_SAMPLE_ROWS].copy()

    def run_original(self, method: Step, samples: Any) -> Any:
        """Call another method of the model, which may have to be loaded again for it."""
        run = getattr(self.original, "run", None)
        return method(samples) if run is None else run(method, samples)

    def stop_recording(self) -> None:
        """Keep no more samples: the next ones are those of clients."""
        self._is_recording = False

    @property
    def is_compiled(self) -> bool:
        return self._active is not None

    @property
    def info(self) -> Mapping[str, Any] | None:
        """What runs, for ``/info/``; None if only the original does."""
        active = self._active
        return None if active is None else active.info

    def activate(self, form: ActiveForm) -> None:
        """Use a proven form from the next call on."""
        self._active = form

    def deactivate(self) -> None:
        """Use only the original from the next call on."""
        self._active = None


def _feature_names(model: Any) -> list[Any] | None:
    """Return the names that the original requires of a frame, in this order; None if it requires none."""
    names = getattr(model, "feature_names_in_", getattr(model, "feature_names", None))
    return None if names is None else list(names)
