"""Turns exceptions into responses, for every route of every server."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from datarobot_drum.drum.exceptions import DrumHTTPError, EngineResponseError, RequestError
from datarobot_drum.drum.serving.messages import ModelResponse, json_response
from datarobot_drum.drum.tracing.spans import note_error
from datarobot_drum.runtime_parameters import mask_secrets, mask_secrets_in

USER_ERROR_HEADER = "X-Drum-User-Http-Error"

logger = logging.getLogger(__name__)


def error_response(error: BaseException, *, for_openai: bool = False) -> ModelResponse:
    """Return the response for ``error``. Credentials are masked, tracebacks stay in the log.

    Args:
        for_openai: add the ``error`` object that OpenAI clients read.
    """
    response = _error_response(error)
    if for_openai and isinstance(response.content, bytes):
        document = orjson.loads(response.content) | {"error": openai_error(error)}
        return replace(response, content=orjson.dumps(document))
    return response


def _error_response(error: BaseException) -> ModelResponse:
    if not isinstance(error, RequestError):
        return json_response(error_payload(error), status=500)
    headers = {str(name): str(value) for name, value in error.headers.items()}  # model code may use numbers
    if isinstance(error, DrumHTTPError):
        headers[USER_ERROR_HEADER] = "true"
    return json_response(error_payload(error), status=error.status, headers=headers)


def error_payload(error: BaseException) -> dict[str, Any]:
    """Return the masked JSON body of the error response, and log unexpected errors with their traceback."""
    if not isinstance(error, RequestError):
        logger.error("Unexpected error while handling a request.", exc_info=error)
        note_error(error)
        payload: Mapping[str, Any] = {"message": f"ERROR: {type(error).__name__}: {error}"}
    else:
        if error.status == 500:
            logger.error("%s", error.message, exc_info=error)
            note_error(error)
        payload = error.payload
    masked: dict[str, Any] = mask_secrets_in(_encodable(payload))
    return masked


def openai_error(error: BaseException) -> dict[str, Any]:
    """Return the ``error`` object that OpenAI clients read."""
    if isinstance(error, EngineResponseError):
        details: dict[str, Any] = mask_secrets_in(dict(error.details))
        return details
    status = error.status if isinstance(error, RequestError) else 500
    message = error.message if isinstance(error, RequestError) else f"{type(error).__name__}: {error}"
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"message": mask_secrets(_encodable_text(message)), "type": kind, "param": None, "code": None}


def _encodable(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _encodable_text(value) if isinstance(value, str) else value for key, value in payload.items()}


def _encodable_text(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode. A message may quote client input."""
    return text.encode("utf-8", "replace").decode("utf-8")
