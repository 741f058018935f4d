"""The tree of errors: those of a request have an HTTP status, those of a start an exit code.

::

    DrumError
    ├── StartupError                    exit code 1
    │   ├── UsageError                  exit code 2
    │   ├── SettingsErrors              exit code of the first one
    │   ├── RuntimeParameterError
    │   ├── ModelLoadError
    │   │   └── ChecksumError
    │   ├── TypeSchemaError             exit code 3
    │   ├── ExtensionError
    │   └── CommandError
    └── RequestError                    500
        ├── BadRequest                  400
        │   └── InvalidField
        ├── Unauthorized                401
        ├── Forbidden                   403
        ├── NotFound                    404
        │   └── LanguageModelNotFound
        ├── MethodNotAllowed            405
        ├── RequestTimeout              408
        ├── PayloadTooLarge             413
        ├── UnsupportedContentEncoding  415
        ├── UnsupportedMediaType        415
        ├── UnprocessableInput          422
        │   ├── InputSchemaError
        │   └── EmptyTable
        │   └── InputSchemaError
        ├── TooManyRequests             429
        ├── FormHeadersTooLarge         431
        ├── RequestCancelled            499, never sent
        ├── PredictionError             500
        │   └── OutputSchemaError
        ├── EngineResponseError         status of the inference engine
        ├── BadGateway                  502
        ├── ServiceUnavailable          503
        │   ├── ServerOverloaded            also a TimeoutError
        │   ├── ExecutorShutdown            also a RuntimeError
        │   └── ModelNotReady
        ├── DeadlineExceeded            504
        ├── InsufficientStorage         507
        ├── ModelFailedToLoad           513
        └── DrumHTTPError               500, raised by model code
            └── CustomHTTPError         400 to 599
"""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

MODEL_FAILED = 513
"""Status of a server whose model failed to load; unregistered, but of the 5xx class (RFC 9110, 15)."""

RETRY_AFTER_SECONDS = 5

TYPE_SCHEMA_EXIT_CODE = 3
"""Exit code of commands that fail because of ``typeSchema``."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
"""What HTTP can carry (RFC 9110, section 5); anything else could split the response."""


class DrumError(Exception):
    """Base of all errors that this package raises.

    ``exit_code`` is the exit code of a command that the error ends, at start or because of its data. ``location`` is
    the place in the model's code, as a prefix of the message for logs and commands; empty if unknown.
    """

    exit_code = 1
    location = ""

    @property
    def located_message(self) -> str:
        return f"{self.location}{self}"


class StartupError(DrumError):
    """A server cannot start, or a command fails; the message is one paragraph that says what to do."""


class UsageError(StartupError):
    """The command line is wrong."""

    exit_code = 2


class SettingsErrors(StartupError):
    """Several errors of a start that are reported together."""

    def __init__(self, errors: Sequence[StartupError]) -> None:
        self.heading = f"{len(errors)} settings are missing or wrong:"
        self.errors = tuple(errors)
        self.exit_code = errors[0].exit_code
        super().__init__(" ".join([self.heading, *map(str, errors)]))


class RuntimeParameterError(StartupError):
    """A runtime parameter is missing, malformed or out of range; the message names the field."""


class ModelLoadError(StartupError):
    """The model could not be found, imported, loaded or initialised."""


class ChecksumError(ModelLoadError):
    """A file of the model folder differs from ``model.sha256``: nothing of the folder may be loaded."""


class TypeSchemaError(StartupError):
    """``typeSchema`` in model-metadata.yaml is malformed; the message names the item."""

    exit_code = TYPE_SCHEMA_EXIT_CODE


class ExtensionError(StartupError):
    """``custom_flask.py`` or ``custom_fastapi.py`` could not be applied."""


class CommandError(StartupError):
    """A command other than the server failed: a file, a missing package, rows that do not fit."""


class RequestError(DrumError):
    """A request that ends in an error response.

    ``status`` is the HTTP status, ``headers`` are added to the response, ``payload`` is its JSON body.
    ``param`` and ``code`` are those of OpenAI's error object: the wrong field, and a word for programs.
    """

    status = 500
    param: str | None = None
    code: str | None = None

    def __init__(self, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.headers = dict(headers or {})

    @property
    def payload(self) -> dict[str, Any]:
        return {"message": f"ERROR: {self.message}"}


class BadRequest(RequestError):
    """The HTTP message is invalid: truncated, malformed multipart, undecodable content encoding."""

    status = 400


class InvalidField(BadRequest):
    """A field of a JSON request is missing, or its value is wrong. The message continues "The field x"."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"The field {field} {problem}")
        self.param = field


class Unauthorized(RequestError):
    """The request has no valid API key."""

    status = 401
    code = "invalid_api_key"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class Forbidden(RequestError):
    """A page of another origin may not call the server."""

    status = 403


class NotFound(RequestError):
    status = 404


class LanguageModelNotFound(NotFound):
    """The list of language models has no model of this name."""

    param = "model"
    code = "model_not_found"


class MethodNotAllowed(RequestError):
    status = 405

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message, headers={"Allow": allow})


class RequestTimeout(RequestError):
    """The client did not send its body in time; the rest of the body is not read."""

    status = 408


class PayloadTooLarge(RequestError):
    status = 413


class UnsupportedContentEncoding(RequestError):
    """A ``Content-Encoding`` that this server does not decode."""

    status = 415


class UnsupportedMediaType(RequestError):
    """A ``Content-Type`` that the route does not read, or that needs a package which is not installed."""

    status = 415


class UnprocessableInput(RequestError):
    """The body is complete, but the model cannot use it."""

    status = 422


class InputSchemaError(UnprocessableInput):
    """The samples do not meet ``typeSchema`` of model-metadata.yaml."""

    exit_code = TYPE_SCHEMA_EXIT_CODE


class EmptyTable(UnprocessableInput):
    """The table has the ``columns`` of a header but no rows, which a batch job may have."""

    def __init__(self, message: str, columns: Sequence[str]) -> None:
        super().__init__(message)
        self.columns = tuple(columns)


class FormHeadersTooLarge(RequestError):
    """A part of a form has too many headers, or too large ones; the rest of the body is not read."""

    status = 431


class PredictionError(RequestError):
    """The model raised, or its result failed a check."""

    status = 500

    def __init__(self, message: str, *, location: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, headers=headers)
        self.location = location


class OutputSchemaError(PredictionError):
    """The result of the model does not meet ``typeSchema`` of model-metadata.yaml."""

    exit_code = TYPE_SCHEMA_EXIT_CODE


class EngineResponseError(RequestError):
    """An inference engine responded with an error: its status, and its error object for OpenAI clients."""

    def __init__(
        self,
        message: str,
        status: int,
        details: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, headers=headers)
        self.status = status
        self.details = details


class BadGateway(RequestError):
    """The inference engine cannot be reached, or aborted its response."""

    status = 502


class ServiceUnavailable(RequestError):
    """The server cannot process the request now; clients may retry after ``RETRY_AFTER_SECONDS``."""

    status = 503

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})

    @property
    def payload(self) -> dict[str, Any]:
        return {
            "message": self.message,
            "error": "SERVICE_UNAVAILABLE",
            "retry_after": RETRY_AFTER_SECONDS,
        }


if sys.version_info >= (3, 11):
    _TimeoutError = TimeoutError
else:
    import asyncio

    class _TimeoutError(asyncio.TimeoutError, TimeoutError):
        """Both of two classes that are one since Python 3.11."""


OVERLOADED = "Server overloaded. Please retry later."


class ServerOverloaded(ServiceUnavailable, _TimeoutError):
    """The call did not start within the queue timeout."""

    def __init__(self, message: str = OVERLOADED) -> None:
        super().__init__(message)


class ExecutorShutdown(ServiceUnavailable, RuntimeError):
    """The executor takes no more calls; the client gets the same response as from an overloaded server."""

    def __init__(self, message: str = OVERLOADED) -> None:
        super().__init__(message)


class ModelNotReady(ServiceUnavailable):
    """The model is still loading, or its engine is not ready."""

    def __init__(self, message: str = "Model is not ready. Please retry later.") -> None:
        super().__init__(message)


class TooManyRequests(RequestError):
    """The client is over its rate limit."""

    status = 429
    code = "rate_limit_exceeded"

    def __init__(self, limit: str, retry_after: int) -> None:
        super().__init__(
            f"Too many requests: the limit is {limit}. Please retry later.", headers={"Retry-After": str(retry_after)}
        )
        self._retry_after = retry_after

    @property
    def payload(self) -> dict[str, Any]:
        return {"message": self.message, "error": "TOO_MANY_REQUESTS", "retry_after": self._retry_after}


class RequestCancelled(RequestError):
    """No client waits for the response: the work ended at a checkpoint."""

    status = 499


class DeadlineExceeded(RequestError):
    """The call exceeded ``DRUM_CLIENT_REQUEST_TIMEOUT``, or the engine its own timeout."""

    status = 504


class InsufficientStorage(RequestError):
    """The disk is full: a temporary file cannot be written."""

    status = 507


class ModelFailedToLoad(RequestError):
    """The response of the error server, with the cause of the failed start."""

    status = MODEL_FAILED


class DrumHTTPError(RequestError):
    """Base of the errors that model code raises to choose the response."""

    def __init__(
        self,
        message: str,
        status_code: int = 500,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, headers=headers)
        self.status = status_code

    @property
    def status_code(self) -> int:
        return self.status

    @property
    def payload(self) -> dict[str, Any]:
        return {"message": self.message}


class CustomHTTPError(DrumHTTPError):
    """An error to raise from any hook: the response has ``status_code`` (400 to 599) and ``{"message": message}``.

    Raises:
        ValueError: ``status_code`` is no error status, or HTTP cannot carry a header.
    """

    def __init__(
        self,
        message: str,
        status_code: int,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if not 400 <= int(status_code) <= 599:
            raise ValueError(f"CustomHTTPError needs a status from 400 to 599, not {status_code}.")
        for name, value in (headers or {}).items():
            if not (_HEADER_NAME.fullmatch(str(name)) and _HEADER_VALUE.fullmatch(str(value))):
                raise ValueError(f"CustomHTTPError cannot send the header {name!r}: {value!r}.")
        super().__init__(message, int(status_code), headers=headers)
