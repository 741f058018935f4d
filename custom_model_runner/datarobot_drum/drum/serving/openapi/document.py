"""Generates the OpenAPI 3.1 document from the route table and the served model."""

import re
from collections.abc import Iterator
from typing import Any

from datarobot_drum.drum.serving.openapi.errors import (
    access_errors,
    error_responses,
    json_response,
    model_errors,
    status_errors,
)
from datarobot_drum.drum.serving.openapi.operations import (
    OPENAI,
    OPERATIONS,
    TAGS,
    Operation,
    RequestBody,
    ServedApi,
    form_part,
    predictions_schema,
)
from datarobot_drum.drum.serving.openapi.sample_schema import model_summary, sample_schemas
from datarobot_drum.drum.serving.openapi.schemas import HEADERS, PARAMETERS, SCHEMAS, SECURITY_SCHEMES, Json, ref
from datarobot_drum.drum.serving.routes import ROUTES, Execution, Route
from datarobot_drum.drum.settings.routed_models import MODEL_HEADER
from datarobot_drum.version import __version__

OPENAPI_VERSION = "3.1.0"

_ABOUT = (
    "Every path works with and without a trailing slash, never by a redirect. HEAD works wherever GET does; another "
    "method is a 405 with Allow. Errors are JSON with a message."
)
_PART_TYPES = "text/csv, text/mtx, application/json, application/octet-stream"
_PATH_PARAMETER = re.compile(r"{(\w+)}")


def build_document(api: ServedApi, extension: Json | None = None) -> Json:
    """Return the document of one server, without routes that this kind of model does not serve.

    Args:
        extension: an OpenAPI document of an extension's routes; the server's own routes override it.
    """
    own = {
        path: _operations(route, path, api)
        for route in _served(api)
        for path in documented_paths(route, api.url_prefix)
    }
    extra: Json = (extension or {}).get("components", {})
    own_schemas = {**SCHEMAS, **sample_schemas(api.card), "DrumPredictions": predictions_schema(api)}
    components: Json = {
        **extra,
        "schemas": {**extra.get("schemas", {}), **own_schemas},
        "headers": {**extra.get("headers", {}), **HEADERS},
        "parameters": {**extra.get("parameters", {}), **PARAMETERS},
        "responses": {**extra.get("responses", {}), **error_responses(for_openai=api.target_type.may_chat)},
    }
    security: Json = {}
    if api.needs_key:
        components["securitySchemes"] = {**extra.get("securitySchemes", {}), **SECURITY_SCHEMES}
        security = {"security": [{name: []} for name in SECURITY_SCHEMES]}
    return {
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": _title(api),
            "version": __version__,
            "description": _ABOUT,
            **({} if api.card is None else {"x-drum-model": model_summary(api.card)}),
        },
        "tags": [{"name": name} for name in TAGS if name != OPENAI or api.target_type.may_chat],
        "paths": {**(extension or {}).get("paths", {}), **own},
        "components": components,
        **security,
    }


def _title(api: ServedApi) -> str:
    kind = f"a {api.target_type.value} model"
    if api.card is None:
        return f"datarobot_drum: {kind}"
    return f"{api.card.identity['name']}, version {api.card.identity['version']}: {kind}"


def _served(api: ServedApi) -> Iterator[Route]:
    return (route for route in ROUTES if route.handler in OPERATIONS and OPERATIONS[route.handler].serves(api))


def documented_paths(route: Route, prefix: str = "") -> list[str]:
    """Return the paths of ``route`` without a trailing slash."""
    return [prefix + (path or "/") + ("/{subpath}" if route.has_subpath else "") for path in route.paths]


def _operations(route: Route, path: str, api: ServedApi) -> Json:
    operation = OPERATIONS[route.handler]
    methods = [method.lower() for method in route.methods if method != "HEAD"]
    return {method: _operation(operation, route, path, method, api) for method in methods}


def _operation(operation: Operation, route: Route, path: str, method: str, api: ServedApi) -> Json:
    names = _PATH_PARAMETER.findall(path)
    document: Json = {
        "operationId": "_".join([method, *re.findall(r"\w+", path.removeprefix(api.url_prefix) or "root")]),
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names),
            *operation.parameters(api),
            *_model_parameter(route, api),
            ref("parameters", "X-Request-ID"),
        ],
        "responses": {"200": operation.response(api), **_errors(route), **(operation.errors or {})},
    }
    if not route.is_probe:
        document["responses"] |= access_errors(_dialect(route), has_keys=api.needs_key, has_limit=api.has_rate_limit)
    elif api.needs_key:
        document["security"] = []
    body = operation.body(api)
    if body is not None and method not in ("get", "delete"):
        document["requestBody"] = _request_body(body, route, api)
    return document


def _model_parameter(route: Route, api: ServedApi) -> Iterator[Json]:
    """Yield the header that names the model of a routed set."""
    if api.model_names and route.execution is Execution.EXECUTOR and not route.for_v2:
        is_required = api.default_model is None and not route.for_openai
        schema: Json = {"type": "string", "enum": list(api.model_names)}
        yield {"name": MODEL_HEADER, "in": "header", "required": is_required, "schema": schema}


def _errors(route: Route) -> Json:
    if route.execution is Execution.ENGINE:
        return {}  # the engine may return any status
    if route.execution is Execution.EXECUTOR:
        return model_errors(_dialect(route))
    if route.execution is Execution.INLINE:
        return {}
    if route.for_v2:
        return {"500": json_response("Unexpected.", "DrumV2Error")}
    return status_errors(calls_model=route.execution is Execution.PROBE)


def _dialect(route: Route) -> str:
    """Return the prefix of the schemas of a route's errors."""
    return "DrumV2" if route.for_v2 else "DrumOpenAI" if route.for_openai else "Drum"


def _request_body(body: RequestBody, route: Route, api: ServedApi) -> Json:
    content: Json = body.content
    if route.form_fields and not api.is_unstructured:
        content = {"multipart/form-data": _form(route), **content}
    return {"required": body.required, "description": body.description, "content": content}


def _form(route: Route) -> Json:
    """Return the schema of the samples as a form; only the part ``X`` is required."""
    parts: dict[str, Any] = {name: form_part(name) for name in sorted(route.form_fields)}
    return {
        "schema": {"type": "object", "required": ["X"], "properties": parts},
        "encoding": {
            name: {"contentType": "text/csv, text/mtx, application/json, application/octet-stream"} for name in parts
        },
    }
