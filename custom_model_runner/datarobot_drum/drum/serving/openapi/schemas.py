"""The components of the OpenAPI document: schemas of bodies, headers and parameters."""

from typing import Any

Json = dict[str, Any]

NUMBER_OR_NULL: Json = {"type": ["number", "null"]}
TEXT_OR_NULL: Json = {"type": ["string", "null"]}


def ref(kind: str, name: str) -> Json:
    """Return a reference; ``kind`` is ``schemas``, ``headers``, ``parameters`` or ``responses``."""
    return {"$ref": f"#/components/{kind}/{name}"}


def schema(name: str) -> Json:
    """Return a reference to a schema."""
    return ref("schemas", name)


def record(required: Json, optional: Json | None = None) -> Json:
    """Return the schema of an object, which may have further keys."""
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


_OPENAI_ERROR = record(
    {
        "message": {"type": "string"},
        "type": {"type": "string", "enum": ["invalid_request_error", "server_error"]},
        "param": TEXT_OR_NULL,
        "code": TEXT_OR_NULL,
    }
)

_STREAM: Json = {"model": TEXT_OR_NULL, "stream": {"type": ["boolean", "null"]}}

_TOKENS: Json = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}}

_TEXTS_OR_TOKENS: Json = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "minItems": 1, "items": {"type": "string"}},
        _TOKENS,
        {"type": "array", "minItems": 1, "items": _TOKENS},
    ],
    "description": "A text, texts, or token numbers if the model takes them.",
}

_ASSOCIATION_ID: Json = {"datarobot_association_id": {"type": "string"}}

_LANGUAGE_MODEL = record({"object": {}, "created": {}, "owned_by": {}}, {"id": {}})

_TEXTS: Json = {"type": "array", "items": {"type": "string"}}
_PARAMETERS: Json = {"type": "object"}
_DATA: Json = {"type": "array", "description": "The cells row by row; null for a missing one."}
_TENSOR: Json = {
    "name": {"type": "string"},
    "datatype": {"type": "string", "examples": ["FP64", "INT64", "BOOL", "BYTES"]},
    "shape": {"type": "array", "items": {"type": "integer"}},
}

_MESSAGE: Json = {"type": "string", "description": "What was wrong, in one sentence."}

_ERROR_CODE: Json = {"type": "string", "description": "On /invocations: MLflow's code.", "examples": ["BAD_REQUEST"]}

_PROCESS = record(
    {
        "pid": {"type": "integer"},
        "cmdline": {"type": "array", "items": {"type": "string"}},
        "mem": {"type": "number", "description": "MiB"},
        "cpu_percent": {"type": "number"},
    }
)

_MEMORY = record(
    {
        "total": {"type": "number", "description": "Of the machine, in MiB as all of these."},
        "avail": {"type": "number"},
        "free": {"type": "number"},
        "drum_rss": {"type": "number", "description": "Sum over the processes of the server."},
        "container_limit": NUMBER_OR_NULL,
        "container_used": NUMBER_OR_NULL,
        "container_max_used": NUMBER_OR_NULL,
    }
)

_TIMES: Json = {
    "type": "object",
    "description": "Seconds by label; a label appears with its first measurement.",
    "additionalProperties": record({"min": NUMBER_OR_NULL, "avg": NUMBER_OR_NULL, "max": NUMBER_OR_NULL}),
}

_CELL: Json = {"type": ["number", "string", "boolean", "null", "array"]}
_ROW: Json = {"type": "object", "additionalProperties": _CELL}
_JSON_ROWS: Json = {
    "description": (
        "Records, rows in the order of the model's columns, columns, or the split orientation; alone or as instances, "
        "inputs, dataframe_records or dataframe_split."
    ),
    "type": ["array", "object"],
    "examples": [
        [{"a": 1, "b": "x"}],
        {"instances": [{"a": 1, "b": "x"}]},
        {"a": [1, 2], "b": ["x", None]},
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"]]}},
    ],
}

_EXECUTOR_METRICS = (
    "executor_workers",
    "executor_concurrency",
    "executor_max_queue",
    "executor_pending",
    "executor_queue_available",
    "executor_completed",
    "executor_rejected",
)

SCHEMAS: Json = {
    "DrumMessage": record({"message": {"type": "string"}}),
    "DrumError": record({"message": _MESSAGE}, {"error_code": _ERROR_CODE}),
    "DrumUnavailable": record(
        {"message": _MESSAGE},
        {
            "error_code": _ERROR_CODE,
            "error": {"type": "string", "examples": ["SERVICE_UNAVAILABLE"]},
            "retry_after": {"type": "integer", "description": "Seconds, as in the header."},
        },
    ),
    "DrumOpenAIError": record(
        {"message": _MESSAGE, "error": _OPENAI_ERROR},
        {"retry_after": {"type": "integer", "description": "Seconds; when the server is overloaded."}},
    ),
    "DrumJsonRows": _JSON_ROWS,
    "DrumJsonLines": {"description": "One record a line.", **_ROW},
    "DrumV2Error": record({"error": _MESSAGE}),
    "DrumV2Live": record({"live": {"const": True}}),
    "DrumV2Ready": record({"ready": {"const": True}}, {"name": {"type": "string"}}),
    "DrumV2Server": record({"name": {"type": "string"}, "version": {"type": "string"}, "extensions": _TEXTS}),
    "DrumV2Model": record(
        {
            "name": {"type": "string"},
            "versions": _TEXTS,
            "platform": {"type": "string"},
            "inputs": {"type": "array", "items": record(_TENSOR)},
            "outputs": {"type": "array", "items": record(_TENSOR)},
        }
    ),
    "DrumV2Request": record(
        {"inputs": {"type": "array", "items": record(_TENSOR, {"parameters": _PARAMETERS, "data": _DATA})}},
        {
            "id": {"type": "string"},
            "parameters": _PARAMETERS,
            "outputs": {
                "type": "array",
                "items": record({"name": {"type": "string"}}, {"parameters": _PARAMETERS}),
            },
        },
    ),
    "DrumV2Response": record(
        {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "outputs": {"type": "array", "items": record({**_TENSOR, "data": _DATA}, {"parameters": _PARAMETERS})},
        },
        {"id": {"type": "string"}},
    ),
    "DrumAlive": record({"status": {"type": "string", "const": "alive"}}),
    "DrumReady": record({"status": {"type": "string", "const": "ready"}}),
    "DrumProbe": {
        "type": "object",
        "description": "`status` and `reason`, or the body of the model's own readiness probe.",
        "properties": {"status": {}, "reason": {}},
    },
    "DrumInfo": record(
        {
            "codeDir": TEXT_OR_NULL,
            "drumServer": {"type": "string", "enum": ["flask", "gunicorn", "fastapi"]},
            "drumVersion": {"type": "string"},
            "libraries": {
                "type": ["object", "null"],
                "description": "Versions of Python and of the libraries that the model uses.",
                "additionalProperties": {"type": "string"},
            },
            "language": TEXT_OR_NULL,
            "maxConcurrency": {"type": ["integer", "null"], "description": "Concurrent calls of the model."},
            "modelDigest": {"type": ["string", "null"], "description": "SHA-256 of the model folder at the start."},
            "modelMetadata": {"type": ["object", "null"], "description": "model-metadata.yaml, credentials masked."},
            "modelName": {"type": "string"},
            "modelVersion": {"type": "string"},
            "predictor": TEXT_OR_NULL,
            "targetType": {"type": "string"},
        }
    ),
    "DrumStats": record(
        {"drum_info": {"type": "array", "items": _PROCESS}, "mem_info": _MEMORY, "time_info": _TIMES},
        {name: {"type": "integer", "description": "Only on fastapi."} for name in _EXECUTOR_METRICS},
    ),
    "DrumCapabilities": record(
        {
            "supported_payload_formats": {
                "type": "object",
                "description": "The version of the package behind each format.",
                "additionalProperties": TEXT_OR_NULL,
            },
            "supported_methods": record(
                {name: {"type": "boolean"} for name in ("chat", "completions", "embeddings", "responses")}
            ),
        }
    ),
    "DrumModelCards": record(
        {
            "state": {"type": "string", "enum": ["loading", "ready", "failed"]},
            "default": TEXT_OR_NULL,
            "models": {"type": "array", "items": record({"name": {"type": "string"}, "version": {"type": "string"}})},
        }
    ),
    "DrumOpenAPI": record({"openapi": {"type": "string"}, "info": {"type": "object"}, "paths": {"type": "object"}}),
    "DrumChatRequest": {
        **record(
            {"messages": {"type": "array", "minItems": 1, "items": {"type": "object"}}},
            _STREAM,
        ),
        "description": 'As OpenAI\'s "create chat completion"; all further keys are passed to the model unchanged.',
        "examples": [{"messages": [{"role": "user", "content": "Hello"}]}],
    },
    "DrumChatCompletion": {
        **record(_ASSOCIATION_ID),
        "description": "OpenAI's chat completion, and an id of this response.",
    },
    "DrumModels": record(
        {
            "object": {"type": "string", "const": "list"},
            "data": {"type": "array", "items": _LANGUAGE_MODEL},
        }
    ),
    "DrumModel": _LANGUAGE_MODEL,
    "DrumCompletionRequest": {
        **record({"prompt": _TEXTS_OR_TOKENS}, {**_STREAM, "n": {"type": ["integer", "null"], "minimum": 1}}),
        "description": 'As OpenAI\'s "create completion"; all further keys are passed to the model unchanged.',
        "examples": [{"prompt": "Once upon a time"}],
    },
    "DrumCompletion": {**record(_ASSOCIATION_ID), "description": "OpenAI's completion, and an id of this response."},
    "DrumEmbeddingRequest": {
        **record(
            {"input": _TEXTS_OR_TOKENS},
            {
                "model": TEXT_OR_NULL,
                "encoding_format": {"enum": ["float", "base64", None]},
                "dimensions": {"type": ["integer", "null"], "minimum": 1},
            },
        ),
        "examples": [{"input": ["first text", "second text"]}],
    },
    "DrumEmbeddings": record(
        {
            "object": {"type": "string", "const": "list"},
            "data": {
                "type": "array",
                "items": record(
                    {
                        "object": {"type": "string", "const": "embedding"},
                        "index": {"type": "integer"},
                        "embedding": {"type": ["array", "string"], "items": {"type": "number"}},
                    }
                ),
            },
            "model": {},
            "usage": {"type": ["object", "null"]},
        }
    ),
    "DrumResponseRequest": {
        **record(
            {"input": {"type": ["string", "array"], "minItems": 1, "items": {"type": "object"}}},
            {**_STREAM, "instructions": TEXT_OR_NULL},
        ),
        "description": 'As OpenAI\'s "create response"; all further keys are passed to a respond hook unchanged.',
        "examples": [{"input": "Hello"}],
    },
    "DrumResponse": {**record(_ASSOCIATION_ID), "description": "OpenAI's response, and an id of this response."},
}

HEADERS: Json = {
    "X-Drum-Version": {"required": True, "schema": {"type": "string"}, "description": "Version of the server."},
    "X-Drum-Model": {
        "schema": {"type": "string"},
        "description": "The model that answered, as name@version;digest=DIGITS; not with DRUM_MODEL_HEADER=0.",
    },
    "X-Request-ID": {
        "required": True,
        "schema": {"type": "string"},
        "description": "The id from the request, or a new one; on every log line of the request.",
    },
    "WWW-Authenticate": {"schema": {"type": "string"}, "description": "Bearer: the server needs an API key."},
    "Retry-After": {"schema": {"type": "string"}, "description": "Seconds to wait before the next try."},
    "X-Drum-User-Http-Error": {
        "schema": {"type": "string", "const": "true"},
        "description": "Present if the model itself raised this error.",
    },
    "Inference-Header-Content-Length": {
        "schema": {"type": "string"},
        "description": "Size of the JSON document, if binary tensors follow it.",
    },
    "X-Streaming": {"required": True, "schema": {"type": "string", "const": "true"}},
}

SECURITY_SCHEMES: Json = {
    "DrumBearerKey": {"type": "http", "scheme": "bearer", "description": "An API key, as OpenAI's clients send it."},
    "DrumHeaderKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}
"""The headers that may hold a key; one of them is enough."""

PARAMETERS: Json = {
    "X-Request-ID": {
        "name": "X-Request-ID",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "Returned in the response. At most 128 visible ASCII characters, else a new one replaces it.",
    },
}
