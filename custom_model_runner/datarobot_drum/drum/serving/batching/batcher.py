"""Micro-batching: which requests may be predicted together, and how each of them is read and answered."""

from contextvars import copy_context
from typing import Any

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions
from datarobot_drum.drum.serving.batching.executor import BatchingExecutor
from datarobot_drum.drum.serving.batching.predictor import JointPrediction
from datarobot_drum.drum.serving.body.spooled_file import SpooledUploadFile
from datarobot_drum.drum.serving.execution.call import ModelCall
from datarobot_drum.drum.serving.execution.executor import Submission
from datarobot_drum.drum.serving.handlers import Handlers
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.payloads import structured_payload
from datarobot_drum.drum.serving.routes import Route
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload

JOINABLE_BYTES = 128 * 1024
"""Larger samples are predicted on their own: they take so long that company saves nothing."""

JOINABLE_HANDLERS = frozenset({"do_predict_structured", "do_invocations"})


class JoinableCall:
    """A structured prediction in its three steps, of which the one in the middle may be shared.

    ``context`` is the one of whoever makes it.
    """

    def __init__(
        self, call: ModelCall, payload: StructuredPayload, predictor: BasePredictor, handlers: Handlers
    ) -> None:
        self.context = copy_context()
        self._call = call
        self._payload = payload
        self._predictor = predictor
        self._handlers = handlers

    def read(self) -> Any:
        """The samples; nothing needs the body afterwards.

        Raises:
            UnprocessableInput, PredictionError, DrumHTTPError: as ``BasePredictor.read_input``.
        """
        try:
            return self._predictor.read_input(self._payload)
        finally:
            self._call.discard()

    def answer(self, predictions: Predictions) -> ModelResponse:
        return self._handlers.structured_response(predictions)


class Batching:
    """Hands calls to the executor: to run with others where they may, else as they are.

    Args:
        predictor: a model of a structured target type.
    """

    def __init__(self, executor: BatchingExecutor, predictor: BasePredictor, handlers: Handlers) -> None:
        self._executor = executor
        self._predictor = predictor
        self._handlers = handlers
        self._joint = JointPrediction(self._predict, executor.limits.rows)
        executor.run_together = self._joint.run

    def submit(self, route: Route, call: ModelCall) -> Submission[ModelResponse]:
        """To be called once the model is loaded."""
        if self._joint.is_on and route.handler in JOINABLE_HANDLERS:
            payload = self._small_table(call.request)
            content = payload.read_bytes() if payload is not None else b""
            rows = count_lines(content)
            if payload is not None and rows <= self._executor.limits.rows:
                joinable = JoinableCall(call, payload, self._predictor, self._handlers)
                return self._executor.submit_joinable(joinable, rows, len(content))
        return self._executor.submit(call)

    def _small_table(self, request: ModelRequest) -> StructuredPayload | None:
        """The csv of a request; None for what is large, of another format or wrong: that is the handler's."""
        try:
            payload = structured_payload(request, any_type=self._predictor.reads_raw_input)
        except UnprocessableInput:
            return None
        file = payload.file
        is_small = isinstance(file, SpooledUploadFile) and not file.on_disk and file.size <= JOINABLE_BYTES
        return payload if is_small and payload.format is PayloadFormat.CSV else None

    def _predict(self, data: Any) -> Predictions:
        with self._handlers.measure_prediction():
            return self._predictor.predict(data)

    def metrics(self) -> dict[str, Any]:
        """Those of the executor, with ``batching``."""
        metrics = self._executor.metrics()
        batching = {
            "enabled": self._joint.is_on,
            "max_batch_size": self._executor.limits.rows,
            **metrics["batching"],
            "bisected": self._joint.bisected,
        }
        return metrics | {"batching": batching}


def count_lines(content: bytes) -> int:
    """How many lines a csv has below its header; that is at least how many rows."""
    text = content.rstrip(b"\r\n")
    return max(text.count(b"\n"), text.count(b"\r"), 1)
