"""The served model as the protocol sees it: a name, one version, metadata, readiness and inference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import orjson

from datarobot_drum.drum.exceptions import BadRequest, ModelNotReady, NotFound
from datarobot_drum.drum.input_schema.columns import Column, ColumnType, InputSchema
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.model_state import ModelState, Phase
from datarobot_drum.drum.serving.observer import NO_OBSERVER, PredictionObserver
from datarobot_drum.drum.serving.request_facts import note_model
from datarobot_drum.drum.serving.v2.datatypes import BOOL, BYTES, FP64
from datarobot_drum.drum.serving.v2.messages import (
    InferenceRequest,
    InferenceResponse,
    ModelMetadata,
    OutputTensor,
    RequestedOutput,
    TensorMetadata,
)
from datarobot_drum.drum.serving.v2.results import output_metadata, prediction_outputs, transform_outputs
from datarobot_drum.drum.serving.v2.samples import to_table
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.model_identity import ModelIdentity
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.version import __version__

SERVER_NAME = "datarobot-drum"
SERVER_VERSION = __version__
EXTENSIONS = ("binary_tensor_data",)

MATRIX_INPUT = "input-0"
"""The name of the only input of a model whose columns have no names."""

_DATATYPES = {
    ColumnType.NUMBER: FP64,
    ColumnType.TEXT: BYTES,
    ColumnType.CATEGORY: BYTES,
    ColumnType.BOOLEAN: BOOL,
    ColumnType.DATE: BYTES,
    ColumnType.ANY: FP64,
}


class V2Model:
    """One model with one version.

    Args:
        predictor: None if its files were not found.
        readiness: the handler of ``/readyz``.
        measure: returns a context manager that records the duration of a prediction.
        observer: notes the predictions of tables.
    """

    def __init__(
        self,
        predictor: BasePredictor | None,
        settings: ModelSettings,
        state: ModelState,
        readiness: Callable[[ModelRequest], ModelResponse],
        measure: Callable[[], AbstractContextManager[Any]],
        count_rows: Callable[[int], object] = lambda rows: None,
        identity: ModelIdentity | None = None,
        observer: PredictionObserver = NO_OBSERVER,
    ) -> None:
        self.identity = identity
        self.observer = observer
        self._predictor = predictor
        self._settings = settings
        self._state = state
        self._readiness = readiness
        self._measure = measure
        self._count_rows = count_rows
        self.name = settings.served_name
        self.version = settings.served_version

    def require_ready(self) -> None:
        """Require that the model takes predictions; its own probe counts.

        Raises:
            ModelNotReady: it does not; the message says why.
        """
        require_ready(self._readiness)

    def metadata(self) -> ModelMetadata:
        """Describe the loaded model.

        Raises:
            RequestError: there is none, or not yet.
        """
        predictor = self._loaded()
        is_table = self._settings.target_type.reads_tables and not predictor.reads_raw_input
        columns = predictor.class_labels or predictor.output_columns
        labels = {"labels": orjson.dumps(list(predictor.class_labels)).decode()} if predictor.class_labels else {}
        return ModelMetadata(
            self.name,
            (self.version,),
            f"drum_{predictor.name}",
            input_metadata(predictor.input_schema) if is_table else (),
            output_metadata(self._settings, columns),
            {"target_type": self._settings.target_type.value, **labels},
        )

    def infer(self, request: InferenceRequest) -> InferenceResponse:
        """Predict or transform the rows of a request.

        Raises:
            BadRequest, UnprocessableInput: the request does not fit the model.
            PredictionError, DrumHTTPError: as ``BasePredictor.predict``.
        """
        data = self.read_samples(request)
        with self._measure():
            outputs = self._predict(self._loaded(), data)
        return self._response(outputs, request)

    def read_samples(self, request: InferenceRequest) -> Any:
        """Return the rows of a request, as ``predict`` of the predictor takes them.

        Raises:
            BadRequest, UnprocessableInput: the request does not fit the model.
        """
        predictor = self._loaded()
        self._require_tables(predictor)
        schema = predictor.input_schema
        return predictor.check_samples(to_table(request, schema, self._settings.limits.for_width(schema.width)))

    def predictions_response(self, predictions: Predictions, request: InferenceRequest) -> InferenceResponse:
        """Return the response to a request whose rows have these predictions."""
        return self._response(prediction_outputs(predictions, self._settings, self._loaded().class_labels), request)

    def _response(self, outputs: tuple[OutputTensor, ...], request: InferenceRequest) -> InferenceResponse:
        return InferenceResponse(self.name, self.version, _select(outputs, request.outputs), request.id)

    def _predict(self, predictor: BasePredictor, data: Any) -> tuple[OutputTensor, ...]:
        if self._settings.target_type is TargetType.TRANSFORM:
            transformed = predictor.transform_samples(data)
            self._count_rows(transformed.features.shape[0])
            return transform_outputs(transformed)
        observation = self.observer.begin(data)
        predictions = predictor.predict(data)
        observation.finish(predictions)
        self._count_rows(len(predictions.values))
        return prediction_outputs(predictions, self._settings, predictor.class_labels)

    def _require_tables(self, predictor: BasePredictor) -> None:
        if not self._settings.target_type.reads_tables:
            raise BadRequest("This unstructured model takes no tensors: send its input to /predictUnstructured/.")
        if predictor.reads_raw_input:
            raise BadRequest(
                "This model takes no tensors: its hook read_input_data reads the bytes of a file. Send the file to "
                "/predict/."
            )

    def _loaded(self) -> BasePredictor:
        self._state.require_ready()
        if self._predictor is None or self._state.phase is not Phase.READY:
            raise NotFound("There is no model.")
        return self._predictor


class V2Models:
    """The models of a server by their names: one, or those of a routed set."""

    def __init__(self, models: Sequence[V2Model]) -> None:
        self.names = tuple(model.name for model in models)
        self._models = {model.name: model for model in models}

    def find(self, name: str, version: str = "") -> V2Model:
        """Return the model that a request names, with its version or none.

        Raises:
            NotFound: there is none.
        """
        model = self._models.get(name)
        if model is None:
            known = ", ".join(map(repr, self.names))
            raise NotFound(f"There is no model {name[:100]!r}: this server has {known}.")
        if version not in ("", model.version):
            raise NotFound(f"The model {name!r} has no version {version[:100]!r}: it has {model.version!r}.")
        note_model(model.identity)
        return model


def require_ready(readiness: Callable[[ModelRequest], ModelResponse]) -> None:
    """Require that a server or model takes predictions.

    Args:
        readiness: the handler of ``/readyz``.

    Raises:
        ModelNotReady: it does not; the message says why.
    """
    response = readiness(ModelRequest())
    if response.status != 200:
        assert isinstance(response.content, bytes)
        document = orjson.loads(response.content)
        reason = document.get("message") or document.get("reason") or "its probe says so"
        raise ModelNotReady(f"The model is not ready: {str(reason).removeprefix('ERROR: ').rstrip('.')}.")


def input_metadata(schema: InputSchema) -> tuple[TensorMetadata, ...]:
    """Return an input for each column, or one for all columns of a model that has no names for them."""
    if schema.names is None and schema.width is not None:
        datatype = FP64 if schema.is_numeric else BYTES
        return (TensorMetadata(MATRIX_INPUT, datatype, (-1, schema.width)),)
    names = schema.names or tuple(schema.declared)
    columns = schema.resolve(names)
    return tuple(TensorMetadata(name, _datatype(column), (-1, 1)) for name, column in zip(names, columns, strict=True))


def _datatype(column: Column) -> str:
    is_numeric_category = column.categories is not None and not column.has_text_categories
    if is_numeric_category and column.categories is not None:
        kind = column.categories.dtype.kind
        return {"i": "INT64", "u": "INT64", "f": FP64, "b": BOOL}.get(kind, BYTES)
    return _DATATYPES[column.type]


def _select(outputs: tuple[OutputTensor, ...], requested: tuple[RequestedOutput, ...]) -> tuple[OutputTensor, ...]:
    """Return the requested outputs in the order of the request, or all of them.

    Raises:
        BadRequest: there is no such output.
    """
    if not requested:
        return outputs
    known = {output.name: output for output in outputs}
    for wanted in requested:
        if wanted.name not in known:
            raise BadRequest(f"The model has no output {wanted.name[:100]!r}; its outputs are {', '.join(known)}.")
    return tuple(known[wanted.name] for wanted in requested)
