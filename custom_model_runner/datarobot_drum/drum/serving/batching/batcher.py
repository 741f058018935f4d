"""Selection of the requests that can be batched, and the steps of each of them."""

import re
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Protocol

from datarobot_drum.drum.exceptions import UnprocessableInput, UnsupportedMediaType
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions
from datarobot_drum.drum.serving.batching.executor import BatchingExecutor
from datarobot_drum.drum.serving.batching.predictor import BatchPredictor
from datarobot_drum.drum.serving.body.spooled_file import SpooledUploadFile
from datarobot_drum.drum.serving.execution.call import ModelCall
from datarobot_drum.drum.serving.execution.executor import Submission
from datarobot_drum.drum.serving.handlers import Handlers
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.observer import IGNORED, Observation
from datarobot_drum.drum.serving.payloads import structured_payload
from datarobot_drum.drum.serving.routes import Route
from datarobot_drum.drum.serving.slow_calls.watcher import SlowCallWatcher
from datarobot_drum.drum.serving.v2.handlers import V2Handlers
from datarobot_drum.drum.serving.v2.json_messages import infer_response
from datarobot_drum.drum.serving.v2.messages import InferenceRequest
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.json_limits import count_rows_at_most

BATCHABLE_BYTES = 128 * 1024
"""Size of the largest samples that are batched; larger ones take too long for a batch to save time."""

BATCHABLE_HANDLERS = frozenset({"do_predict_structured", "do_invocations"})
V2_HANDLER = "do_predict_v2"

BATCH = "batch"
"""The name of a batch among slow predictions, in place of the route of one request."""

_SHAPE = re.compile(rb'"shape"\s*:\s*\[\s*([0-9]{1,9})')


class Steps(Protocol):
    """What a handler does before and after the prediction."""

    def read(self) -> Any:
        """Return the samples.

        Raises:
            BadRequest, NotFound, UnprocessableInput, PredictionError, DrumHTTPError: as the handler.
        """

    def respond(self, predictions: Predictions) -> ModelResponse: ...


@dataclass
class StructuredSteps:
    """The steps of ``/predict/``."""

    payload: StructuredPayload
    predictor: BasePredictor
    handlers: Handlers
    request: ModelRequest
    observation: Observation = IGNORED

    def read(self) -> Any:
        data = self.predictor.read_input(self.payload)
        self.observation = self.handlers.observer.begin(data)
        return data

    def respond(self, predictions: Predictions) -> ModelResponse:
        self.observation.finish(predictions)
        return self.handlers.structured_response(predictions, self.request)


class V2Steps:
    """The steps of an inference of the Open Inference Protocol over HTTP."""

    def __init__(self, handlers: V2Handlers, request: ModelRequest) -> None:
        self._handlers = handlers
        self._request = request
        self._inference = InferenceRequest(())
        self._observation: Observation = IGNORED

    def read(self) -> Any:
        model = self._handlers.find_model(self._request)
        self._inference = self._handlers.read_inference(self._request)
        data = model.read_samples(self._inference)
        self._observation = model.observer.begin(data)
        return data

    def respond(self, predictions: Predictions) -> ModelResponse:
        self._observation.finish(predictions)
        model = self._handlers.find_model(self._request)
        response = model.predictions_response(predictions, self._inference)
        return infer_response(response, self._inference)


class StepwiseCall:
    """A prediction in three steps: read, predict, respond. Several calls can share the second.

    ``context`` holds the context variables of the request.
    """

    def __init__(self, call: ModelCall, steps: Steps, before_call: Callable[[], object] | None = None) -> None:
        self.context = copy_context()
        self._call = call
        self._steps = steps
        self._before_call = before_call

    def read(self) -> Any:
        """Return the samples and close the body; raises what the step raises."""
        try:
            if self._before_call:
                self._before_call()
            return self._steps.read()
        finally:
            self._call.close_body()

    def respond(self, predictions: Predictions) -> ModelResponse:
        return self._steps.respond(predictions)


class Batching:
    """Submits calls to the executor, as batchable ones where possible.

    Args:
        predictor: a model of a structured target type.
        v2: the handlers of the Open Inference Protocol for the same model.
        slow_calls: notes slow batches.
    """

    def __init__(
        self,
        executor: BatchingExecutor,
        predictor: BasePredictor,
        handlers: Handlers,
        v2: V2Handlers,
        slow_calls: SlowCallWatcher | None = None,
    ) -> None:
        self._slow_calls = slow_calls
        self._executor = executor
        self._predictor = predictor
        self._handlers = handlers
        self._v2 = v2
        self._batch_predictor = BatchPredictor(self._predict, executor.limits.rows)
        executor.predict_batch = self._batch_predictor.run

    def submit(self, route: Route, call: ModelCall) -> Submission[ModelResponse]:
        """Submit a call; the model must be loaded."""
        found = self._find_steps(route, call.request) if self._batch_predictor.is_on else None
        if found is None or found[1] > self._executor.limits.rows:
            return self._executor.submit(call)
        steps, rows, size = found
        return self._executor.submit_batchable(StepwiseCall(call, steps, self._executor.before_call), rows, size)

    def _find_steps(self, route: Route, request: ModelRequest) -> tuple[Steps, int, int] | None:
        """Return the steps of a request, an upper bound of its rows, and its size; None if it is not batched."""
        if route.handler == V2_HANDLER:
            return self._find_v2_steps(request)
        payload = self._small_table(request) if route.handler in BATCHABLE_HANDLERS else None
        if payload is None:
            return None
        content = payload.read_bytes()
        steps = StructuredSteps(payload, self._predictor, self._handlers, request)
        return steps, _MAX_ROWS[payload.format](content), len(content)

    def _find_v2_steps(self, request: ModelRequest) -> tuple[Steps, int, int] | None:
        """Do the same for an inference over HTTP; a gRPC call has no body here."""
        body = request.body
        if body is None or not _is_small(body) or not body.size or self._predictor.reads_raw_input:
            return None
        body.seek(0)
        rows = max(map(int, _SHAPE.findall(body.read())), default=1)
        return V2Steps(self._v2, request), rows, body.size

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
        return payload if _is_small(payload.file) and payload.format in _MAX_ROWS else None

    def _predict(self, data: Any) -> Predictions:
        with self._handlers.measure_prediction():
            if self._slow_calls is None:
                return self._predictor.predict(data)
            with self._slow_calls.watch(BATCH):
                self._slow_calls.note_samples(data)
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


def _is_small(file: object) -> bool:
    return isinstance(file, SpooledUploadFile) and not file.on_disk and file.size <= BATCHABLE_BYTES


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
