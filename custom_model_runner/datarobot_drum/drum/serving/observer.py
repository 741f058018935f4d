"""What a server notes of each prediction beside its response: rows for the request log, and for slow predictions."""

from __future__ import annotations

from typing import Any, Protocol

from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.serving.recording.entries import RecordedModel
from datarobot_drum.drum.serving.recording.row_recorder import RowRecorder
from datarobot_drum.drum.serving.slow_calls.watcher import SlowCallWatcher


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

    def __init__(
        self, model: RecordedModel, recorder: RowRecorder | None = None, slow_calls: SlowCallWatcher | None = None
    ) -> None:
        self._model = model
        self._recorder = recorder
        self._slow_calls = slow_calls

    def begin(self, data: Any) -> Observation:
        """Note the samples, before the model gets them, in the thread and the context of the request."""
        if self._slow_calls is not None:
            self._slow_calls.note_samples(data)
        if self._recorder is None:
            return IGNORED
        return self._recorder.begin(self._model, data) or IGNORED

    def statistics(self) -> dict[str, Any]:
        """Return what ``/stats/`` has about it."""
        return {} if self._recorder is None else {"record": self._recorder.statistics()}


NO_OBSERVER = PredictionObserver(RecordedModel("", None))
"""Notes nothing."""
