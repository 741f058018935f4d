"""Selection of the requests that can be batched, and the steps of each of them."""

from collections.abc import Callable, Mapping
from contextvars import copy_context
from typing import Any

from datarobot_drum.drum.exceptions import UnprocessableInput, UnsupportedMediaType
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions
from datarobot_drum.drum.serving.batching.executor import BatchingExecutor
from datarobot_drum.drum.serving.batching.predictor import BatchPredictor
from datarobot_drum.drum.serving.body.spooled_file import SpooledUploadFile
from datarobot_drum.drum.serving.execution.call import ModelCall
from datarobot_drum.drum.serving.execution.executor import Submission
from datarobot_drum.drum.serving.handlers import Handlers
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.payloads import structured_payload
from datarobot_drum.drum.serving.routes import Route
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.json_limits import count_rows_at_most

BATCHABLE_BYTES = 128 * 1024
"""Size of the largest samples that are batched; larger ones take too long for a batch to save time."""

BATCHABLE_HANDLERS = frozenset({"do_predict_structured", "do_invocations"})


class StructuredCall:
    """A structured prediction in three steps: read, predict, respond. Several calls can share the second.

    ``context`` holds the context variables of the request.
    """

    def __init__(
        self,
        call: ModelCall,
        payload: StructuredPayload,
        predictor: BasePredictor,
        handlers: Handlers,
        before_call: Callable[[], object] | None = None,
    ) -> None:
        self.context = copy_context()
        self._call = call
        self._request = call.request
        self._payload = payload
        self._predictor = predictor
        self._handlers = handlers
        self._before_call = before_call

    def read(self) -> Any:
        """Return the samples and close the body.

        Raises:
            UnprocessableInput, PredictionError, DrumHTTPError: as ``BasePredictor.read_input``.
        """
        try:
            if self._before_call:
                self._before_call()
            return self._predictor.read_input(self._payload)
        finally:
            self._call.close_body()

    def respond(self, predictions: Predictions) -> ModelResponse:
        return self._handlers.structured_response(predictions, self._request)


class Batching:
    """Submits calls to the executor, as batchable ones where possible.

    Args:
        predictor: a model of a structured target type.
    """

    def __init__(self, executor: BatchingExecutor, predictor: BasePredictor, handlers: Handlers) -> None:
        self._executor = executor
        self._predictor = predictor
        self._handlers = handlers
        self._batch_predictor = BatchPredictor(self._predict, executor.limits.rows)
        executor.predict_batch = self._batch_predictor.run

    def submit(self, route: Route, call: ModelCall) -> Submission[ModelResponse]:
        """Submit a call; the model must be loaded."""
        if self._batch_predictor.is_on and route.handler in BATCHABLE_HANDLERS:
            payload = self._small_table(call.request)
            content = payload.read_bytes() if payload is not None else b""
            rows = _MAX_ROWS[payload.format](content) if payload is not None else 0
            if payload is not None and rows <= self._executor.limits.rows:
                batchable = StructuredCall(call, payload, self._predictor, self._handlers, self._executor.before_call)
                return self._executor.submit_batchable(batchable, rows, len(content))
        return self._executor.submit(call)

    def _small_table(self, request: ModelRequest) -> StructuredPayload | None:
        """Return the csv or JSON of a request.

        Return None if it is large, in another format or malformed: the handler reads those.
        """
        try:
            payload = structured_payload(
                request, any_type=self._predictor.reads_raw_input, limits=self._handlers.table_limits
            )
        except (UnprocessableInput, UnsupportedMediaType):
            return None
        file = payload.file
        is_small = isinstance(file, SpooledUploadFile) and not file.on_disk and file.size <= BATCHABLE_BYTES
        return payload if is_small and payload.format in _MAX_ROWS else None

    def _predict(self, data: Any) -> Predictions:
        with self._handlers.measure_prediction():
            return self._predictor.predict(data)

    def metrics(self) -> dict[str, Any]:
        """Return the metrics of the executor, with more details in ``batching``."""
        metrics = self._executor.metrics()
        batching = {
            "enabled": self._batch_predictor.is_on,
            "max_batch_size": self._executor.limits.rows,
            **metrics["batching"],
            "bisected": self._batch_predictor.bisections,
        }
        return metrics | {"batching": batching}


def count_lines(content: bytes) -> int:
    """Return the number of lines below the header of a CSV: it has at most as many rows."""
    text = content.rstrip(b"\r\n")
    return max(text.count(b"\n"), text.count(b"\r"), 1)


_MAX_ROWS: Mapping[PayloadFormat, Callable[[bytes], int]] = {
    PayloadFormat.CSV: count_lines,
    PayloadFormat.JSON: count_rows_at_most,
    PayloadFormat.JSON_LINES: count_rows_at_most,
}
"""The formats that are batched, each with an upper bound of the rows of a small body."""
