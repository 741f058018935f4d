"""The one tree of errors. What a request can meet knows its HTTP status; what a start can meet, its exit code.

::

    DrumError
    ├── StartupError                 exit code 1
    │   ├── UsageError               exit code 2
    │   ├── RuntimeParameterError
    │   ├── ModelLoadError
    │   ├── TypeSchemaError          exit code 3
    │   ├── ExtensionError
    │   └── CommandError
    └── RequestError                 500
        ├── BadRequest               400
        ├── NotFound                 404
        ├── MethodNotAllowed         405
        ├── RequestTimeout           408
        ├── PayloadTooLarge          413
        ├── UnsupportedCoding        415
        ├── UnprocessableInput       422
        │   └── InputBreaksSchema
        ├── PredictionError          500
        │   └── OutputBreaksSchema
        ├── EngineAnsweredError      what an inference engine answered
        ├── BadGateway               502
        ├── Unavailable              503
        │   ├── ServerOverloaded
        │   └── ModelNotReady
        ├── DeadlineExceeded         504
        ├── InsufficientStorage      507
        ├── ModelFailedToLoad        513
        └── DrumHTTPError            what model code raises
            └── CustomHTTPError      400 to 599
"""

import re
from collections.abc import Mapping
from typing import Any

MODEL_FAILED = 513
"""Status of a server whose model failed to load. Not registered, but of the 5xx class (RFC 9110, 15)."""

RETRY_AFTER_SECONDS = 5

TYPE_SCHEMA_EXIT_CODE = 3
"""Of commands that end because of ``typeSchema`` (cli-and-parameters.md section 8)."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
"""What HTTP can carry (RFC 9110, section 5); anything else could split the response."""


class DrumError(Exception):
    """Base of every error that this package raises on purpose.

    ``exit_code`` is that of a command which the error ends: at start, or with the data that a request would bring.
    """

    exit_code = 1


class StartupError(DrumError):
    """A server cannot start, or a command end; the message is one paragraph that says what to do."""


class UsageError(StartupError):
    """The command line is wrong."""

    exit_code = 2


class RuntimeParameterError(StartupError):
    """A runtime parameter is missing, malformed or out of range; the message names the field."""


class ModelLoadError(StartupError):
    """The model could not be found, imported, loaded or initialised."""


class TypeSchemaError(StartupError):
    """``typeSchema`` in model-metadata.yaml is malformed; the message names the item."""

    exit_code = TYPE_SCHEMA_EXIT_CODE


class ExtensionError(StartupError):
    """``custom_flask.py`` or ``custom_fastapi.py`` could not be applied."""


class CommandError(StartupError):
    """A command other than the server could not do its work: a file, a missing package, rows that do not fit."""


class RequestError(DrumError):
    """A request that ends in an error answer.

    ``status`` is the HTTP status, ``headers`` are added to the answer, ``payload`` is its JSON body.
    """

    status = 500

    def __init__(self, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.headers = dict(headers or {})

    @property
    def payload(self) -> dict[str, Any]:
        return {"message": f"ERROR: {self.message}"}


class BadRequest(RequestError):
    """The HTTP message itself is broken: truncated, malformed multipart, undecodable coding."""

    status = 400


class NotFound(RequestError):
    status = 404


class MethodNotAllowed(RequestError):
    status = 405

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message, headers={"Allow": allow})


class RequestTimeout(RequestError):
    """The client took too long to send its body; the rest of it will not be read."""

    status = 408


class PayloadTooLarge(RequestError):
    status = 413


class UnsupportedContentEncoding(RequestError):
    """A ``Content-Encoding`` that this server does not decode."""

    status = 415


class UnprocessableInput(RequestError):
    """The body arrived whole but the model cannot use it."""

    status = 422


class InputSchemaError(UnprocessableInput):
    """The samples are not what ``typeSchema`` of model-metadata.yaml requires."""

    exit_code = TYPE_SCHEMA_EXIT_CODE


class PredictionError(RequestError):
    """The model raised, or what it returned failed its check."""

    status = 500


class OutputSchemaError(PredictionError):
    """What the model returned is not what ``typeSchema`` of model-metadata.yaml promises."""

    exit_code = TYPE_SCHEMA_EXIT_CODE


class EngineAnsweredError(RequestError):
    """An inference engine refused a request: its status, and the error object that it sent for OpenAI clients."""

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
    """The inference engine cannot be reached, or broke off its answer."""

    status = 502


class ServiceUnavailable(RequestError):
    """Not now: try again after ``retry_after`` seconds."""

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


class ServerOverloaded(ServiceUnavailable):
    """No thread took the call within the queue timeout."""

    def __init__(self, message: str = "Server overloaded. Please retry later.") -> None:
        super().__init__(message)


class ModelNotReady(ServiceUnavailable):
    """The model is still loading, or its engine does not answer."""

    def __init__(self, message: str = "Model is not ready. Please retry later.") -> None:
        super().__init__(message)


class DeadlineExceeded(RequestError):
    """The call took longer than ``DRUM_CLIENT_REQUEST_TIMEOUT``."""

    status = 504


class InsufficientStorage(RequestError):
    """No room left for a temporary file."""

    status = 507


class ModelFailedToLoad(RequestError):
    """What the error server answers: the cause of the failed start."""

    status = MODEL_FAILED


class DrumHTTPError(RequestError):
    """Base of the errors that model code raises to choose its own answer."""

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
    """Raise it from any hook: the client gets ``status_code`` (400 to 599) and ``{"message": message}``.

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
