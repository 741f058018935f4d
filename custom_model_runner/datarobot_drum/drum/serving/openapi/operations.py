"""The request and response of each handler, for the OpenAPI document.

A route without an entry in ``OPERATIONS`` is not described. Paths, methods, form parts and common errors come from the
route table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datarobot_drum.drum.serving.formats.streaming import STREAM_FORMATS, TABLE_FORMATS
from datarobot_drum.drum.serving.openapi.errors import json_response, response
from datarobot_drum.drum.serving.openapi.sample_schema import sample_examples
from datarobot_drum.drum.serving.openapi.schemas import NUMBER_OR_NULL, TEXT_OR_NULL, Json, record, schema
from datarobot_drum.drum.serving.sample_formats import MEDIA_TYPES
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular import PayloadFormat

if TYPE_CHECKING:
    from datarobot_drum.drum.serving.openapi.model_card import ModelCard

PREDICTIONS, OPENAI, V2, ABOUT = "predictions", "OpenAI", "Open Inference Protocol", "about the server"
STATUS, DOCUMENTATION = "status", "documentation"
TAGS = (PREDICTIONS, OPENAI, V2, ABOUT, STATUS, DOCUMENTATION)
"""In the order of the page."""

_SAMPLES: Json = {
    "type": "string",
    "contentMediaType": "application/octet-stream",
    "description": "Rows of samples. The format is that of the media type of the part, or of its file name.",
}
_TEXT: Json = {"type": "string"}
_ANYTHING: Json = {}
_DOCUMENTED_TYPES = frozenset(
    {
        *("text/csv", "text/mtx", "application/json", "application/x-ndjson"),
        *("application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file", "application/vnd.apache.parquet"),
    }
)
"""Of the media types of a format, those that the document names."""
_EVENTS: Json = {}
"""OpenAPI 3.1 cannot describe server-sent events."""

_CSV_TYPES = ("text/csv", "text/plain", "application/octet-stream")
_JSON_ROWS = {"application/json": "DrumJsonRows", "application/x-ndjson": "DrumJsonLines"}


@dataclass(frozen=True)
class ServedApi:
    """The properties of the model and the server that the document depends on.

    ``formats``: of samples, by the names of ``PayloadFormat``. ``reads_raw_input``: the model accepts any body.
    ``has_deployment``: responses have the format of the prediction server. ``has_engine``: there is an engine.
    ``model_names``: those of a routed set, of which the document describes one. ``default_model``: that of requests
    that name none. ``needs_key``: requests need an API key. ``has_rate_limit``: clients may send too many requests.
    """

    target_type: TargetType
    target_name: str | None = None
    target_names: tuple[str, ...] = ()
    formats: tuple[str, ...] = tuple(payload_format.value for payload_format in PayloadFormat)
    reads_raw_input: bool = False
    can_chat: bool = False
    can_complete: bool = False
    can_embed: bool = False
    can_respond: bool = False
    has_deployment: bool = False
    has_engine: bool = False
    url_prefix: str = ""
    model_names: tuple[str, ...] = ()
    default_model: str | None = None
    needs_key: bool = False
    has_rate_limit: bool = False
    card: "ModelCard | None" = None
    """The columns, labels and sample of the model; None to describe any model of this kind."""

    @property
    def is_unstructured(self) -> bool:
        return self.target_type is TargetType.UNSTRUCTURED

    @property
    def transforms(self) -> bool:
        return self.target_type is TargetType.TRANSFORM


@dataclass(frozen=True)
class RequestBody:
    """The body of a request; ``content`` is by media type."""

    content: Json
    required: bool = True
    description: str = "May be compressed (Content-Encoding: gzip)."


@dataclass(frozen=True)
class Operation:
    """One handler.

    ``response``: of status 200. ``serves``: whether the served model has this route. ``errors``: by status, beyond
    those that every route of its kind has.
    """

    summary: str
    tag: str
    response: Callable[[ServedApi], Json]
    serves: Callable[[ServedApi], bool] = lambda api: True
    body: Callable[[ServedApi], RequestBody | None] = lambda api: None
    parameters: Callable[[ServedApi], tuple[Json, ...]] = lambda api: ()
    errors: Json | None = None


def _always(content: Json) -> Callable[[ServedApi], Json]:
    return lambda api: content


def form_part(name: str) -> Json:
    """Return the schema of a part of a form."""
    return _SAMPLES if name == "X" else {**_SAMPLES, "description": f"The part {name}: rows as in X."}


# Structured models


def _samples(api: ServedApi) -> RequestBody:
    """Return the samples as a raw body; ``build_document`` adds the form."""
    if api.reads_raw_input:
        return RequestBody({"*/*": {"schema": _ANYTHING}})
    content: Json = {media_type: {"schema": _TEXT} for media_type in _CSV_TYPES}
    for media_type, payload_format in MEDIA_TYPES.items():
        if payload_format.value in api.formats and media_type in _DOCUMENTED_TYPES:
            content[media_type] = {"schema": schema(_JSON_ROWS[media_type]) if media_type in _JSON_ROWS else _TEXT}
    for media_type, example in sample_examples(api.card).items():
        if media_type in content:
            content[media_type] = {**content[media_type], "example": example}
    return RequestBody(content)


def _prediction(api: ServedApi) -> Json:
    """Return the schema of one element of ``predictions``."""
    if api.target_type.has_class_labels and api.card is not None and api.card.labels:
        labels = dict.fromkeys(api.card.labels, NUMBER_OR_NULL)
        return {**record(labels), "description": "Probability by class label."}
    if api.target_type.has_class_labels:
        return {
            "type": "object",
            "description": "Probability by class label.",
            "additionalProperties": {"type": "number"},
        }
    if api.target_type.has_target_column:
        value = TEXT_OR_NULL if api.target_type is TargetType.TEXT_GENERATION else _ANYTHING
        return {"type": "object", "additionalProperties": value, "examples": [{api.target_name or "target": "..."}]}
    if api.target_names:
        return record(dict.fromkeys(api.target_names, NUMBER_OR_NULL))
    if api.target_type is TargetType.REGRESSION:
        return {
            "type": ["number", "null", "object"],
            "description": "A number; an object by target for a model of several.",
            "additionalProperties": NUMBER_OR_NULL,
        }
    return NUMBER_OR_NULL


def predictions_schema(api: ServedApi) -> Json:
    """Return the schema of the response of ``/predict/``."""
    if api.has_deployment:
        row = {"rowId": {"type": "integer"}, "prediction": _ANYTHING, "predictionValues": {"type": "array"}}
        return record({"data": {"type": "array", "items": record(row)}})
    extra = {"type": "array", "items": {"type": "object"}, "description": "Further columns of the model, row by row."}
    return record({"predictions": {"type": "array", "items": _prediction(api)}}, {"extraModelOutput": extra})


def _predictions_response(api: ServedApi) -> Json:
    content = {table_format.media_type: {"schema": _TEXT} for table_format in TABLE_FORMATS}
    text = "One prediction a row, in the format that Accept selects."
    return response(text, {"application/json": {"schema": schema("DrumPredictions")}, **content})


def _stream_response(api: ServedApi) -> Json:
    content: Json = {
        stream_format.media_type: _EVENTS if "event" in stream_format.media_type else {"schema": _TEXT}
        for stream_format in STREAM_FORMATS
    }
    return response(
        "The predictions while they are computed, in the format that Accept selects.", content, "X-Streaming"
    )


# Unstructured models


def _any_body(api: ServedApi) -> RequestBody:
    types = ("text/plain", "application/json", "application/octet-stream", "*/*")
    text = "Reaches the model byte for byte. May be compressed (Content-Encoding: gzip)."
    return RequestBody({name: {"schema": _ANYTHING} for name in types}, required=False, description=text)


def _any_response(api: ServedApi) -> Json:
    return response("The output of the model, in the media type that it chooses.", {"*/*": {"schema": _ANYTHING}})


def _any_query(api: ServedApi) -> tuple[Json, ...]:
    query = {
        "name": "query",
        "in": "query",
        "required": False,
        "style": "form",
        "explode": True,
        "schema": {"type": "object", "additionalProperties": {"type": "string"}},
        "description": "Any parameters; the model gets the first value of each.",
    }
    return (query,)


# Transform models


def _transform_response(api: ServedApi) -> Json:
    parts = {
        "X.transformed": _TEXT,
        "out.format": {"enum": ["csv", "sparse"]},
        "X.colnames": {**_TEXT, "description": "One name a line, if the samples are sparse."},
        "y.transformed": {**_TEXT, "description": "If the request had a part y."},
        "y.format": {"enum": ["csv"]},
    }
    form = record({name: parts[name] for name in ("X.transformed", "out.format")}, parts)
    return response("A form with the transformed samples.", {"multipart/form-data": {"schema": form}})


def _own_response(api: ServedApi) -> Callable[[ServedApi], Json]:
    if api.is_unstructured:
        return _any_response
    return _transform_response if api.transforms else _predictions_response


# Chat


def _json_body(name: str) -> Callable[[ServedApi], RequestBody]:
    return lambda api: RequestBody({"application/json": {"schema": schema(name)}})


def _generated(name: str, description: str) -> Callable[[ServedApi], Json]:
    content: Json = {"application/json": {"schema": schema(name)}, "text/event-stream": _EVENTS}
    return _always(response(description, content))


# Open Inference Protocol


def _tensors_body(api: ServedApi) -> RequestBody:
    text = (
        "JSON, with binary tensors behind it if the header Inference-Header-Content-Length gives its size. May be "
        "compressed (Content-Encoding: gzip)."
    )
    content: Json = {
        "application/json": {"schema": schema("DrumV2Request")},
        "application/octet-stream": {"schema": _ANYTHING},
    }
    return RequestBody(content, description=text)


def _tensors_response(api: ServedApi) -> Json:
    content: Json = {
        "application/json": {"schema": schema("DrumV2Response")},
        "application/octet-stream": {"schema": _ANYTHING},
    }
    return response("The outputs; binary where the request asks for that.", content, "Inference-Header-Content-Length")


_NO_MODEL: Json = {"404": json_response("There is no such model or version.", "DrumV2Error")}
_NOT_READY: Json = {"503": json_response("Not ready, with the reason.", "DrumV2Error", "Retry-After")}
_LOAD_FAILED: Json = {"513": json_response("The model failed to load.", "DrumV2Error")}


# Documentation


def _page(media_type: str, description: str) -> Callable[[ServedApi], Json]:
    return _always(response(description, {media_type: {"schema": _TEXT}}))


_NOT_INSTALLED = {"404": json_response("The extra docs of the package is not installed.", "DrumError")}

OPERATIONS: Mapping[str, Operation] = {
    "do_ping": Operation(
        "Check that the model is loaded", STATUS, _always(json_response("The model is loaded.", "DrumMessage"))
    ),
    "do_health": Operation(
        "Check that the model is healthy", STATUS, _always(json_response("The model is healthy.", "DrumMessage"))
    ),
    "do_livez": Operation(
        "Check that the process is alive", STATUS, _always(json_response("The process is alive.", "DrumAlive"))
    ),
    "do_readyz": Operation(
        "Check that this server is ready for requests",
        STATUS,
        _always(json_response("Ready.", "DrumReady")),
        errors={"503": json_response("Not ready, with the reason.", "DrumProbe", "Retry-After")},
    ),
    "do_info": Operation(
        "Describe the server and the model", ABOUT, _always(json_response("Server and model.", "DrumInfo"))
    ),
    "do_stats": Operation(
        "Get memory, CPU and durations", ABOUT, _always(json_response("Current values.", "DrumStats"))
    ),
    "do_version": Operation(
        "Get the version of the server",
        ABOUT,
        _always(response("The version as text, for clients of MLflow.", {"text/plain": {"schema": _TEXT}})),
    ),
    "make_capabilities": Operation(
        "List supported formats and methods", ABOUT, _always(json_response("Formats and methods.", "DrumCapabilities"))
    ),
    "do_predict_structured": Operation(
        "Predict rows", PREDICTIONS, _predictions_response, lambda api: api.target_type.is_structured, _samples
    ),
    "do_predict_stream": Operation(
        "Predict rows, streamed", PREDICTIONS, _stream_response, lambda api: api.target_type.is_structured, _samples
    ),
    "do_predict_unstructured": Operation(
        "Pass any body to the model",
        PREDICTIONS,
        _any_response,
        lambda api: api.is_unstructured,
        _any_body,
        _any_query,
    ),
    "do_transform": Operation("Transform rows", PREDICTIONS, _transform_response, lambda api: api.transforms, _samples),
    "do_invocations": Operation(
        "Predict (the one route of SageMaker)",
        PREDICTIONS,
        lambda api: _own_response(api)(api),
        body=lambda api: _any_body(api) if api.is_unstructured else _samples(api),
        parameters=lambda api: _any_query(api) if api.is_unstructured else (),
    ),
    "do_direct_access": Operation(
        "Access the inference engine",
        PREDICTIONS,
        lambda api: response("The response of the engine, with its status.", {"*/*": {"schema": _ANYTHING}}),
        lambda api: api.has_engine,
        _any_body,
        errors={"default": response("The response of the engine.", {"*/*": {"schema": _ANYTHING}})},
    ),
    "do_chat": Operation(
        "Complete a chat",
        OPENAI,
        _generated(
            "DrumChatCompletion", "The completion; as server-sent events, the last one [DONE], when it is streamed."
        ),
        lambda api: api.can_chat,
        _json_body("DrumChatRequest"),
    ),
    "do_completions": Operation(
        "Complete a text",
        OPENAI,
        _generated(
            "DrumCompletion", "The completion; as server-sent events, the last one [DONE], when it is streamed."
        ),
        lambda api: api.can_chat or api.can_complete,
        _json_body("DrumCompletionRequest"),
    ),
    "do_embeddings": Operation(
        "Embed texts",
        OPENAI,
        _always(json_response("One vector per text.", "DrumEmbeddings")),
        lambda api: api.can_embed,
        _json_body("DrumEmbeddingRequest"),
    ),
    "do_responses": Operation(
        "Respond to an input (Responses API)",
        OPENAI,
        _generated("DrumResponse", "The response; as server-sent events when it is streamed."),
        lambda api: api.can_chat or api.can_respond,
        _json_body("DrumResponseRequest"),
    ),
    "get_supported_llm_models": Operation(
        "List the language models",
        OPENAI,
        _always(json_response("The list, empty if the model has none.", "DrumModels")),
        lambda api: api.target_type.may_chat,
    ),
    "get_llm_model": Operation(
        "Get a language model",
        OPENAI,
        _always(json_response("The model.", "DrumModel")),
        lambda api: api.target_type.may_chat,
    ),
    "do_predict_v2": Operation(
        "Predict the rows of tensors",
        V2,
        _tensors_response,
        lambda api: not api.is_unstructured and not api.reads_raw_input,
        _tensors_body,
        errors=_NO_MODEL,
    ),
    "do_v2_server": Operation("Describe the server", V2, _always(json_response("The server.", "DrumV2Server"))),
    "do_v2_live": Operation(
        "Check that the process is alive", V2, _always(json_response("The process is alive.", "DrumV2Live"))
    ),
    "do_v2_ready": Operation(
        "Check that this server is ready",
        V2,
        _always(json_response("Ready.", "DrumV2Ready")),
        errors=_NOT_READY | _LOAD_FAILED,
    ),
    "do_v2_model": Operation(
        "Describe the inputs and outputs of the model",
        V2,
        _always(json_response("The model.", "DrumV2Model")),
        errors=_NO_MODEL | _NOT_READY | _LOAD_FAILED,
    ),
    "do_v2_model_ready": Operation(
        "Check that the model is ready",
        V2,
        _always(json_response("Ready.", "DrumV2Ready")),
        errors=_NO_MODEL | _NOT_READY | _LOAD_FAILED,
    ),
    "do_openapi": Operation("Get this document", DOCUMENTATION, _always(json_response("OpenAPI 3.1.", "DrumOpenAPI"))),
    "do_docs": Operation(
        "This document as a page", DOCUMENTATION, _page("text/html", "A page."), errors=_NOT_INSTALLED
    ),
    "do_playground": Operation(
        "A page to try the model in a browser; needs no API key", DOCUMENTATION, _page("text/html", "A page.")
    ),
    "do_playground_models": Operation(
        "Get what the page shows of each model: columns, labels, sample",
        DOCUMENTATION,
        _always(json_response("The models.", "DrumModelCards")),
    ),
    "do_docs_script": Operation(
        "The script of /docs", DOCUMENTATION, _page("text/javascript", "Swagger UI."), errors=_NOT_INSTALLED
    ),
    "do_docs_style": Operation(
        "The style of /docs", DOCUMENTATION, _page("text/css", "Swagger UI."), errors=_NOT_INSTALLED
    ),
}
