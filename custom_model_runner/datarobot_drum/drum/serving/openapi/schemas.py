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

_MESSAGE: Json = {"type": "string", "description": "What was wrong, in one sentence."}

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
    "DrumError": record({"message": _MESSAGE}),
    "DrumUnavailable": record(
        {"message": _MESSAGE},
        {
            "error": {"type": "string", "examples": ["SERVICE_UNAVAILABLE"]},
            "retry_after": {"type": "integer", "description": "Seconds, as in the header."},
        },
    ),
    "DrumOpenAIError": record(
        {"message": _MESSAGE, "error": _OPENAI_ERROR},
        {"retry_after": {"type": "integer", "description": "Seconds; when the server is overloaded."}},
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
            "language": TEXT_OR_NULL,
            "maxConcurrency": {"type": ["integer", "null"], "description": "Concurrent calls of the model."},
            "modelMetadata": {"type": ["object", "null"], "description": "model-metadata.yaml, credentials masked."},
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
            "supported_methods": record({"chat": {"type": "boolean"}}),
        }
    ),
    "DrumOpenAPI": record({"openapi": {"type": "string"}, "info": {"type": "object"}, "paths": {"type": "object"}}),
    "DrumChatRequest": {
        **record(
            {"messages": {"type": "array", "minItems": 1, "items": {"type": "object"}}},
            {"model": {"type": "string"}, "stream": {"type": "boolean"}},
        ),
        "description": 'As OpenAI\'s "create chat completion"; all further keys are passed to the model unchanged.',
        "examples": [{"messages": [{"role": "user", "content": "Hello"}]}],
    },
    "DrumChatCompletion": {
        **record({"datarobot_association_id": {"type": "string"}}),
        "description": "OpenAI's chat completion, and an id of this response.",
    },
    "DrumModels": record(
        {
            "object": {"type": "string", "const": "list"},
            "data": {"type": "array", "items": record({"object": {}, "created": {}, "owned_by": {}}, {"id": {}})},
        }
    ),
}

HEADERS: Json = {
    "X-Drum-Version": {"required": True, "schema": {"type": "string"}, "description": "Version of the server."},
    "X-Request-ID": {
        "required": True,
        "schema": {"type": "string"},
        "description": "The id from the request, or a new one; on every log line of the request.",
    },
    "Retry-After": {"schema": {"type": "string"}, "description": "Seconds to wait before the next try."},
    "X-Drum-User-Http-Error": {
        "schema": {"type": "string", "const": "true"},
        "description": "Present if the model itself raised this error.",
    },
    "X-Streaming": {"required": True, "schema": {"type": "string", "const": "true"}},
}

PARAMETERS: Json = {
    "X-Request-ID": {
        "name": "X-Request-ID",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "Returned in the response. At most 128 visible ASCII characters, else a new one replaces it.",
    },
}
