"""What a prediction server notes of its predictions: the request log, and slow predictions."""

from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.serving.metrics.recorder import Recorder
from datarobot_drum.drum.serving.observer import PredictionObserver
from datarobot_drum.drum.serving.recording.entries import RecordedModel
from datarobot_drum.drum.serving.recording.row_recorder import RowRecorder
from datarobot_drum.drum.serving.slow_calls.watcher import SlowCallWatcher
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.server_parameters import ServerParameters


class Observers:
    """The observers of the models of one worker. Without the parameters of either, no thread is started."""

    def __init__(self, server: ServerParameters, recorder: Recorder) -> None:
        self._graceful_timeout = server.graceful_timeout
        self._rows = RowRecorder(server, recorder) if server.record else None
        self.slow_calls = SlowCallWatcher(server.slow_seconds) if server.slow_seconds else None

    def start(self, worker_ctx: WorkerCtx) -> None:
        """Start the threads, in the process that predicts."""
        if self._rows is not None:
            self._rows.start(worker_ctx, self._graceful_timeout)
        if self.slow_calls is not None:
            self.slow_calls.start(worker_ctx)

    def of_model(self, model: ModelSettings) -> PredictionObserver:
        """Return the observer of one model."""
        recorded = RecordedModel(model.served_name, model.served_version)
        return PredictionObserver(recorded, self._rows, self.slow_calls)
