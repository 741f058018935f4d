"""What a server notes of each prediction beside its response: rows for the request log."""

from __future__ import annotations

from typing import Any, Protocol

from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.serving.recording.entries import RecordedModel
from datarobot_drum.drum.serving.recording.row_recorder import RowRecorder


class Observation(Protocol):
    """A prediction that runs."""

    def finish(self, predictions: Predictions) -> None:
        """Note the predictions, in the context of the request."""


class _Ignored:
    def finish(self, predictions: Predictions) -> None:
        """Note nothing."""


IGNORED = _Ignored()


class PredictionObserver:
    """Observes the predictions of tables by one model."""

    def __init__(self, model: RecordedModel, recorder: RowRecorder | None = None) -> None:
        self._model = model
        self._recorder = recorder

    def begin(self, data: Any) -> Observation:
        """Note the samples, before the model gets them, in the thread and the context of the request."""
        if self._recorder is None:
            return IGNORED
        return self._recorder.begin(self._model, data) or IGNORED

    def statistics(self) -> dict[str, Any]:
        """Return what ``/stats/`` has about it."""
        return {} if self._recorder is None else {"record": self._recorder.statistics()}


NO_OBSERVER = PredictionObserver(RecordedModel("", None))
"""Notes nothing."""
