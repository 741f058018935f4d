"""The error responses of the OpenAPI document."""

from datarobot_drum.drum.exceptions import MODEL_FAILED
from datarobot_drum.drum.serving.openapi.schemas import Json, ref, schema

_MODEL_ERRORS = {
    "400": "The HTTP message is broken (truncated body, malformed multipart, bad gzip), or no chat request.",
    "408": "The body came too slowly (DRUM_UPLOAD_TIMEOUT).",
    "413": "The body, or what it is decoded to, is larger than a limit, or a form has too many parts.",
    "415": "A Content-Encoding other than gzip, or a Content-Type that is not read.",
    "422": "The input cannot be used, or is over a limit.",
    "431": "The headers, or those of a form part, are larger than a limit.",
    "500": "The model raised, or what it returned failed its check.",
    "503": "Overloaded, or the model is still loading.",
    "504": "It took longer than DRUM_CLIENT_REQUEST_TIMEOUT.",
    "507": "No room left for a temporary file.",
    str(MODEL_FAILED): "The model failed to load, and the server was started with --with-error-server.",
    "4XX": "The model chose this status (CustomHTTPError).",
    "5XX": "The model chose this status (CustomHTTPError).",
}

_UNEXPECTED = {"500": "Unexpected."}
_NOT_NOW = {"503": "The model is still loading."}
_FAILED = {str(MODEL_FAILED): _MODEL_ERRORS[str(MODEL_FAILED)]}


def standard_headers(*more: str) -> Json:
    """Return the headers of every response, and ``more``."""
    return {name: ref("headers", name) for name in ("X-Drum-Version", "X-Request-ID", "X-Drum-Model", *more)}


def response(description: str, content: Json, *headers: str) -> Json:
    """Return a response with content by media type."""
    return {"description": description, "headers": standard_headers(*headers), "content": content}


def json_response(description: str, name: str, *headers: str) -> Json:
    """Return a response whose JSON body has the named schema."""
    return response(description, {"application/json": {"schema": schema(name)}}, *headers)


def model_errors(prefix: str) -> Json:
    """Return references to the error responses of a route that calls the model, by status.

    Args:
        prefix: ``Drum``; ``DrumOpenAI`` on routes whose errors OpenAI clients read; ``DrumV2`` on those of the Open
            Inference Protocol.
    """
    return {status: ref("responses", f"{prefix}Error{status}") for status in _MODEL_ERRORS}


def status_errors(*, calls_model: bool) -> Json:
    """Return the error responses of a status route that may block, by status."""
    errors = {"500": json_response(_UNEXPECTED["500"], "DrumError")}
    if calls_model:
        errors["503"] = json_response(_NOT_NOW["503"], "DrumUnavailable", "Retry-After")
        errors |= {status: json_response(text, "DrumError") for status, text in _FAILED.items()}
    return errors


def access_errors(prefix: str, *, has_keys: bool, has_limit: bool) -> Json:
    """Return the error responses of a request without a valid key, or over the rate limit, by status.

    Args:
        prefix: as in ``model_errors``.
    """
    errors = {}
    if has_keys:
        errors["401"] = json_response("There is no valid API key.", f"{prefix}Error", "WWW-Authenticate")
    if has_limit:
        errors["429"] = json_response("Over the rate limit (DRUM_RATE_LIMIT).", f"{prefix}Error", "Retry-After")
    return errors


def error_responses(*, for_openai: bool) -> Json:
    """Return the error responses that ``model_errors`` refers to, with or without those for OpenAI clients."""
    return {
        f"{prefix}Error{status}": json_response(text, _schema(prefix, status), *_headers(status))
        for prefix in (("Drum", "DrumV2", "DrumOpenAI") if for_openai else ("Drum", "DrumV2"))
        for status, text in _MODEL_ERRORS.items()
    }


def _schema(prefix: str, status: str) -> str:
    if prefix != "Drum":
        return f"{prefix}Error"
    return "DrumUnavailable" if status == "503" else "DrumError"


def _headers(status: str) -> tuple[str, ...]:
    """Return header names; the model may choose any status, the server sends Retry-After on 503 only."""
    return ("X-Drum-User-Http-Error", "Retry-After") if status == "503" else ("X-Drum-User-Http-Error",)
