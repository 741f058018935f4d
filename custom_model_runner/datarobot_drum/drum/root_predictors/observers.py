"""What a prediction server notes of its predictions: the request log."""

from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.serving.metrics.recorder import Recorder
from datarobot_drum.drum.serving.observer import PredictionObserver
from datarobot_drum.drum.serving.recording.entries import RecordedModel
from datarobot_drum.drum.serving.recording.row_recorder import RowRecorder
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.server_parameters import ServerParameters


class Observers:
    """The observers of the models of one worker, which share one request log. Without one nothing is started."""

    def __init__(self, server: ServerParameters, recorder: Recorder) -> None:
        self._graceful_timeout = server.graceful_timeout
        self._rows = RowRecorder(server, recorder) if server.record else None

    def start(self, worker_ctx: WorkerCtx) -> None:
        """Start the threads, in the process that predicts."""
        if self._rows is not None:
            self._rows.start(worker_ctx, self._graceful_timeout)

    def of_model(self, model: ModelSettings) -> PredictionObserver:
        """Return the observer of one model."""
        return PredictionObserver(RecordedModel(model.served_name, model.served_version), self._rows)
