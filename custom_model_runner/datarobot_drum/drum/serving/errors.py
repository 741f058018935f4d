"""Turns exceptions into responses, for every route of every server."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from datarobot_drum.drum.error_text import client_text, one_line
from datarobot_drum.drum.exceptions import (
    DrumHTTPError,
    EngineResponseError,
    ModelFailedToLoad,
    PredictionError,
    RequestError,
    UnprocessableInput,
)
from datarobot_drum.drum.language_predictors.code_location import function_location, model_traceback
from datarobot_drum.drum.language_predictors.import_scope import model_folders
from datarobot_drum.drum.serving.error_formats import ErrorFormat, google_error, mlflow_code
from datarobot_drum.drum.serving.messages import ModelResponse, json_response
from datarobot_drum.drum.serving.request_facts import note_rejection
from datarobot_drum.drum.tracing.spans import note_error
from datarobot_drum.runtime_parameters import mask_secrets, mask_secrets_in

USER_ERROR_HEADER = "X-Drum-User-Http-Error"

_SERVER_TEXT = (DrumHTTPError, EngineResponseError)
"""Errors below 500 whose message does not come from this package, so it may hold a secret."""

_FOREIGN = (PredictionError, ModelFailedToLoad)
"""Errors whose message quotes foreign code."""

logger = logging.getLogger(__name__)


def error_response(error: BaseException, error_format: ErrorFormat = ErrorFormat.PLAIN) -> ModelResponse:
    """Return the response for ``error``. Credentials are masked, tracebacks stay in the log."""
    note_rejection(error)
    if error_format is ErrorFormat.V2:
        response = _error_response(error, v2_status(error))
        return replace(response, content=orjson.dumps({"error": client_message(error)}))
    response = _error_response(error, error.status if isinstance(error, RequestError) else 500)
    if error_format is ErrorFormat.PLAIN or not isinstance(response.content, bytes):
        return response
    document = orjson.loads(response.content) | _fields(error, response.status, error_format)
    return replace(response, content=orjson.dumps(document))


def _fields(error: BaseException, status: int, error_format: ErrorFormat) -> dict[str, Any]:
    """Return what the clients of a dialect read besides ``message``."""
    if error_format is ErrorFormat.OPENAI:
        return {"error": openai_error(error)}
    if error_format is ErrorFormat.MLFLOW:
        return {"error_code": mlflow_code(status)}
    return {"error": google_error(status, client_message(error))}


def v2_status(error: BaseException) -> int:
    """Return the status of an error on routes of the Open Inference Protocol, whose clients expect 400 for 422."""
    if isinstance(error, UnprocessableInput):
        return 400
    return error.status if isinstance(error, RequestError) else 500


def _error_response(error: BaseException, status: int) -> ModelResponse:
    if not isinstance(error, RequestError):
        return json_response(error_payload(error), status=status)
    if status < 500:
        logger.info("Responded %s: %s", status, mask_secrets(one_line(error.message)))
    headers = {str(name): str(value) for name, value in error.headers.items()}  # model code may use numbers
    if isinstance(error, DrumHTTPError):
        headers[USER_ERROR_HEADER] = "true"
    return json_response(error_payload(error), status=status, headers=headers)


def error_payload(error: BaseException) -> dict[str, Any]:
    """Return the JSON body of the error response, and log the errors that are not the client's.

    Text of the model and of the server is masked.
    """
    if not isinstance(error, RequestError):
        location = function_location(error, model_folders())
        logger.error("Unexpected error while handling a request. %s%s", location, _describe(error), exc_info=error)
        note_error(error)
        payload: Mapping[str, Any] = {"message": f"ERROR: {_message(error)}"}
    else:
        if error.status == 500:
            _log_model_error(error)
            note_error(error)
        payload = {"message": f"ERROR: {_message(error)}"} if isinstance(error, _FOREIGN) else error.payload
    if _quotes_the_client(error):
        return _encodable(payload)
    masked: dict[str, Any] = mask_secrets_in(_encodable(payload))
    return masked


def openai_error(error: BaseException) -> dict[str, Any]:
    """Return the ``error`` object that OpenAI clients read."""
    if isinstance(error, EngineResponseError):
        details: dict[str, Any] = mask_secrets_in(dict(error.details))
        return details
    status = error.status if isinstance(error, RequestError) else 500
    kind = "invalid_request_error" if status < 500 else "server_error"
    param, code = (error.param, error.code) if isinstance(error, RequestError) else (None, None)
    return {"message": client_message(error), "type": kind, "param": param, "code": code}


def client_message(error: BaseException) -> str:
    """Return the text of an error for clients, with credentials masked."""
    message = _encodable_text(_message(error))
    return message if _quotes_the_client(error) else mask_secrets(message)


def _quotes_the_client(error: BaseException) -> bool:
    """Return True for errors of this package about a request.

    They quote the request, and masking a secret there would tell the client that it has guessed one.
    """
    return isinstance(error, RequestError) and error.status < 500 and not isinstance(error, _SERVER_TEXT)


def _message(error: BaseException) -> str:
    """Return the message of an error for clients: errors of foreign code without stack traces and paths.

    A message that is already written for clients stays as it is: it may name a route, which looks like a path.
    """
    if isinstance(error, _FOREIGN):
        return client_text(error.message)
    return error.message if isinstance(error, RequestError) else client_text(_describe(error))


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _log_model_error(error: RequestError) -> None:
    """Log place and message, then the traceback of the cause from the model's code on: the frames above are ours."""
    cause = error.__cause__ or error
    start = model_traceback(cause, model_folders())
    logger.error("%s", error.located_message, exc_info=None if start is None else (type(cause), cause, start))


def _encodable(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _encodable_text(value) if isinstance(value, str) else value for key, value in payload.items()}


def _encodable_text(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode. A message may quote client input."""
    return text.encode("utf-8", "replace").decode("utf-8")
