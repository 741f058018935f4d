"""The handlers of all routes: request in, response out.

A handler is synchronous: it checks, decodes, calls the model and encodes. It raises on failure, and ``errors.py`` turns
the exception into a response.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from datarobot_drum.drum.artifact_predictors.versions import library_versions
from datarobot_drum.drum.error_text import client_text
from datarobot_drum.drum.exceptions import MODEL_FAILED, NotFound, UnprocessableInput
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.iterators import closing_iterator
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions, ProbeResult, StreamChunk
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.serving.execution.streaming import PrefetchedIterator
from datarobot_drum.drum.serving.formats.deployment_json import deployment_response
from datarobot_drum.drum.serving.formats.openai_call import is_chat_request
from datarobot_drum.drum.serving.formats.openai_events import STREAM_HEADERS
from datarobot_drum.drum.serving.formats.predictions_json import predictions_response
from datarobot_drum.drum.serving.formats.streaming import negotiate_format, negotiate_table_format
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse, json_response
from datarobot_drum.drum.serving.metrics.families import PREDICTION_SECONDS, ROWS
from datarobot_drum.drum.serving.metrics.process import ProcessStatistics
from datarobot_drum.drum.serving.metrics.recorder import OFF, Recorder
from datarobot_drum.drum.serving.metrics.timings import Timings
from datarobot_drum.drum.serving.model_state import ModelState, Phase
from datarobot_drum.drum.serving.observer import NO_OBSERVER, PredictionObserver
from datarobot_drum.drum.serving.openai_handlers import OpenAiHandlers, openai_methods
from datarobot_drum.drum.serving.payloads import structured_payload, target_payload, unstructured_input
from datarobot_drum.drum.serving.request_facts import note_rows
from datarobot_drum.drum.serving.routes import SAMPLES, Route
from datarobot_drum.drum.serving.sample_formats import missing_extra
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.engine import EngineSettings
from datarobot_drum.drum.settings.environment import metrics_directory
from datarobot_drum.drum.settings.limits import InputLimits
from datarobot_drum.drum.settings.model_identity import ModelIdentity
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from datarobot_drum.runtime_parameters import mask_secrets, mask_secrets_in
from datarobot_drum.version import __version__

Handler = Callable[[ModelRequest], ModelResponse]

OK = {"message": "OK"}

ROUTES_BY_TARGET = {TargetType.UNSTRUCTURED: "/predictUnstructured/", TargetType.TRANSFORM: "/transform/"}
"""The prediction routes of models that ``/predict/`` does not serve."""

SCRAPE = "datarobot_drum.drum.serving.scraping:scrape_server"
TRANSFORM_ENCODER = "datarobot_drum.drum.serving.formats.transform_multipart:transform_response"


class Handlers(OpenAiHandlers):
    """The handlers of all routes over one predictor.

    Args:
        predictor: None if its files were not found; ``state`` then has the cause.
        server_type: ``flask``, ``gunicorn`` or ``fastapi``, for ``/info/``.
        show_details: whether ``/info/`` and ``/stats/`` show the code dir, the metadata and command lines.
        timings: those of a server with several models.
        observer: notes the predictions of tables.
        identity: name, version and digest for ``/info/``.
    """

    def __init__(
        self,
        predictor: BasePredictor | None,
        model: ModelSettings,
        server_type: str,
        state: ModelState,
        worker_ctx: WorkerCtx,
        llm_id: str = "",
        *,
        show_details: bool = True,
        recorder: Recorder = OFF,
        timings: Timings | None = None,
        observer: PredictionObserver = NO_OBSERVER,
        identity: ModelIdentity | None = None,
    ) -> None:
        self.identity = identity or ModelIdentity(model.served_name, model.served_version, "")
        self._recorder = recorder
        self.observer = observer
        self._predictor = predictor
        self._model = model
        self._server_type = server_type
        self._state = state
        self._worker_ctx = worker_ctx
        self._llm_id = llm_id
        self._show_details = show_details
        self._table_limits: InputLimits | None = None
        """Known with the width of the loaded model."""
        self.timings = timings or Timings(partial(recorder.observe, PREDICTION_SECONDS))
        self.measure_prediction = partial(self.timings.measure, "run_predictor_total")
        """Return a context manager that records its duration for ``time_info`` of ``/stats/`` and the metrics."""
        self._statistics = ProcessStatistics()

    def find(self, name: str) -> Handler:
        """Return the handler by the name that a route has for it."""
        handler: Handler = getattr(self, name)
        return handler

    @property
    def has_own_probes(self) -> bool:
        """Whether the model defines its own probes, which may block."""
        if self._predictor is None:
            return False
        kind = type(self._predictor)
        return (
            kind.liveness_probe is not BasePredictor.liveness_probe
            or kind.readiness_probe is not BasePredictor.readiness_probe
        )

    # Liveness, health and readiness

    def do_livez(self, request: ModelRequest) -> ModelResponse:
        """Report that the process responds. The model does not count: a restart repairs no broken model."""
        return json_response({"status": "alive"})

    def do_ping(self, request: ModelRequest) -> ModelResponse:
        """Return the result of the model's liveness probe."""
        return self._probe_response(lambda predictor: predictor.liveness_probe())

    def do_health(self, request: ModelRequest) -> ModelResponse:
        """Return the result of the model's readiness probe."""
        return self._probe_response(lambda predictor: predictor.readiness_probe())

    def do_readyz(self, request: ModelRequest) -> ModelResponse:
        """Report whether a load balancer should send requests to this worker."""
        if self._state.phase is Phase.LOADING:
            return _not_ready("model is loading")
        if self._state.phase is Phase.FAILED or self._predictor is None:
            return _not_ready("model failed to load", **self._failure())
        if not self._worker_ctx.is_running:
            return _not_ready("worker not running")
        body, status = as_probe(self._predictor.readiness_probe())
        return json_response({"status": "ready"}) if status == 200 else json_response(body, status=503)

    def _probe_response(self, probe: Callable[[BasePredictor], ProbeResult]) -> ModelResponse:
        if self._state.phase is Phase.FAILED or self._predictor is None:
            return json_response(self._failure(), status=MODEL_FAILED)
        self._state.require_ready()
        body, status = as_probe(probe(self._predictor))
        return json_response(body, status=status)

    def _failure(self) -> dict[str, str]:
        return {"message": f"ERROR: {client_text(self._state.cause)}"}

    # Information about the server

    def do_info(self, request: ModelRequest) -> ModelResponse:
        """Describe the server and the model."""
        return json_response(self.information())

    def information(self) -> dict[str, Any]:
        """Return the document of ``/info/``."""
        predictor = self._predictor
        return {
            "codeDir": mask_secrets(str(self._model.code_dir)) if self._show_details else None,
            "compiled": predictor.compiled if predictor else None,
            "drumServer": self._server_type,
            "drumVersion": __version__,
            "language": predictor.language if predictor else self._model.language,
            "libraries": library_versions() if self._show_details else None,
            "maxConcurrency": predictor.concurrency_limit if predictor else None,
            "modelDigest": self.identity.digest or None,
            "modelMetadata": mask_secrets_in(self._model.metadata) if self._show_details else None,
            "modelName": self.identity.name,
            "modelVersion": self.identity.version,
            "predictor": predictor.name if predictor else None,
            "targetType": self._model.target_type.value,
        }

    def do_version(self, request: ModelRequest) -> ModelResponse:
        """Return the version of the server as text, as MLflow's scoring server does."""
        return ModelResponse(__version__.encode(), "text/plain; charset=utf-8")

    def do_stats(self, request: ModelRequest) -> ModelResponse:
        """Return memory, CPU, durations and executor metrics."""
        return json_response(
            {
                **self._statistics.collect(self._worker_ctx.server_pid, with_commands=self._show_details),
                "time_info": self.timings.summary(),
                **self._worker_ctx.get_backpressure_metrics(),
                **self.observer.statistics(),
            }
        )

    def do_metrics(self, request: ModelRequest) -> ModelResponse:
        """Return the metrics of the whole server for Prometheus."""
        scrape_server = import_from_string(SCRAPE)
        accept = request.headers.get("Accept") or ""
        result = scrape_server(self._recorder.read_server(), metrics_directory(), accept)
        return ModelResponse(result.content, result.media_type)

    def make_capabilities(self, request: ModelRequest) -> ModelResponse:
        """List the payload formats and methods that the model supports."""
        formats: Mapping[str, str | None] = {}
        if self._state.phase is Phase.READY and self._predictor is not None:
            formats = self._predictor.payload_formats
        return json_response(
            {"supported_payload_formats": dict(formats), "supported_methods": openai_methods(self._predictor)}
        )

    # Predictions

    def do_predict_structured(self, request: ModelRequest) -> ModelResponse:
        """Predict every row of the samples."""
        predictor, payload = self._samples(request)
        with self.measure_prediction():
            predictions = self._predict(predictor, payload)
        return self.structured_response(predictions, request)

    def _predict(self, predictor: BasePredictor, payload: StructuredPayload) -> Predictions:
        data = predictor.read_input(payload)
        observation = self.observer.begin(data)
        predictions = predictor.predict(data)
        observation.finish(predictions)
        return predictions

    def structured_response(self, predictions: Predictions, request: ModelRequest) -> ModelResponse:
        """Encode predictions as ``/predict/`` returns them, in the format that ``Accept`` asks for.

        Raises:
            PredictionError: the model returned a value that the format cannot carry.
        """
        self.count_rows(len(predictions.values))
        table_format = negotiate_table_format(request.headers.get("Accept") or "")
        if table_format is not None:
            content = b"".join(table_format.encode(iter([predictions]), self._model.target_type))
            return ModelResponse(content, table_format.media_type)
        if self._model.deployment is not None:
            labels = self._predictor.class_labels if self._predictor is not None else ()
            model = self._model.with_class_labels(labels) if labels else self._model
            return deployment_response(predictions, model, self._model.deployment)
        return predictions_response(predictions, self._model.target_type)

    def count_rows(self, rows: int) -> None:
        """Count rows that the model has predicted or transformed."""
        self._recorder.add(ROWS, rows)
        note_rows(rows)

    def _counted(self, chunks: Iterator[StreamChunk]) -> Iterator[StreamChunk]:
        with closing_iterator(chunks):
            for chunk in chunks:
                if isinstance(chunk, Predictions):
                    self.count_rows(len(chunk.values))
                yield chunk

    def do_predict_stream(self, request: ModelRequest) -> ModelResponse:
        """Predict in blocks of rows, in the format that ``Accept`` asks for.

        The first chunk is produced here, so an error in it becomes an error response.
        """
        predictor, payload = self._samples(request)
        stream_format = negotiate_format(request.headers.get("Accept") or "")
        chunks = stream_format.encode(self._counted(predictor.predict_stream(payload)), self._model.target_type)
        return ModelResponse(
            PrefetchedIterator(chunks), stream_format.media_type, headers=STREAM_HEADERS | {"X-Streaming": "true"}
        )

    def _samples(self, request: ModelRequest) -> tuple[BasePredictor, StructuredPayload]:
        predictor = self._ready_predictor()
        self._require_target(self._model.target_type.is_structured)
        return predictor, self._payload(request, predictor)

    @property
    def table_limits(self) -> InputLimits:
        """The limits of the samples of the loaded model."""
        if self._table_limits is None:
            width = None if self._predictor is None else self._predictor.input_schema.width
            self._table_limits = self._model.limits.for_width(width)
        return self._table_limits

    def _payload(self, request: ModelRequest, predictor: BasePredictor) -> StructuredPayload:
        payload = structured_payload(request, any_type=predictor.reads_raw_input, limits=self.table_limits)
        if not predictor.reads_raw_input:
            _require_readable(payload.format, predictor)
        return payload

    def do_transform(self, request: ModelRequest) -> ModelResponse:
        """Transform the samples, and their target if the form has one."""
        predictor = self._ready_predictor()
        self._require_target(self._model.target_type is TargetType.TRANSFORM)
        samples, target = self._payload(request, predictor), target_payload(request, self._model.limits)
        if target is not None:
            _require_readable(target.format, predictor)
        with self.measure_prediction():
            transformed = predictor.transform(samples, target)
        self.count_rows(transformed.features.shape[0])
        response: ModelResponse = import_from_string(TRANSFORM_ENCODER)(transformed)
        return response

    def do_predict_unstructured(self, request: ModelRequest) -> ModelResponse:
        """Pass the body to the model as it is, and return the model's output."""
        predictor = self._ready_predictor()
        self._require_target(self._model.target_type is TargetType.UNSTRUCTURED)
        with self.measure_prediction():
            output = predictor.predict_unstructured(unstructured_input(request))
        return ModelResponse(output.content, f"{output.mimetype};charset={output.charset}")

    def do_direct_access(self, request: ModelRequest) -> ModelResponse:
        """Reject direct access to a model without an engine; with one, the adapter forwards the request."""
        self._ready_predictor()
        raise NotFound("This model has no inference engine to access directly.")

    @property
    def engine(self) -> EngineSettings | None:
        """The inference engine that clients may access directly, if there is one."""
        return self._predictor.engine if self._predictor is not None else None

    def do_invocations(self, request: ModelRequest) -> ModelResponse:
        """Predict on the one route that SageMaker has for every kind of model."""
        if self._model.target_type is TargetType.UNSTRUCTURED:
            return self.do_predict_unstructured(request)
        if self._model.target_type is TargetType.TRANSFORM:
            return self.do_transform(request)
        if self._ready_predictor().can_chat and is_chat_request(request, self._model.limits):
            return self.do_chat(request)
        return self.do_predict_structured(request)

    def form_fields(self, route: Route) -> frozenset[str]:
        """Return the form parts to read on ``route``; none for a model that takes raw bodies."""
        if self._model.target_type is TargetType.UNSTRUCTURED:
            return frozenset()
        return route.form_fields if self._model.target_type is TargetType.TRANSFORM else route.form_fields & SAMPLES

    def _ready_predictor(self) -> BasePredictor:
        self._state.require_ready()
        if self._predictor is None:
            raise NotFound("There is no model.")
        return self._predictor

    def _require_target(self, fits: bool) -> None:
        """Reject a request to the route of another kind of model."""
        if not fits:
            kind = self._model.target_type
            route = ROUTES_BY_TARGET.get(kind, "/predict/")
            raise UnprocessableInput(f"This route does not serve {kind.value} models: use {route}.")


def as_probe(result: ProbeResult) -> tuple[Mapping[str, Any], int]:
    """Return the body and HTTP status of a probe result; a body alone means 200."""
    return result if isinstance(result, tuple) else (result, 200)


def _require_readable(payload_format: PayloadFormat, predictor: BasePredictor) -> None:
    """Reject a format that the model does not read, or whose package is not installed."""
    if payload_format.value not in predictor.payload_formats:
        raise missing_extra(payload_format) or UnprocessableInput(
            f"This model does not read {payload_format.value} input."
        )


def _not_ready(reason: str, **details: str) -> ModelResponse:
    document = {"status": "not ready", "reason": reason, **details}
    return json_response(document, status=503, headers={"Retry-After": "5"})
