"""The form of error bodies, by route: that which the clients of the route read.

========  =====================================================  =========================================
format    routes                                                 body
========  =====================================================  =========================================
PLAIN     ours                                                   ``message``
OPENAI    OpenAI's                                               ``message``, ``error``: an object
V2        below ``/v2``                                          ``error``: a text, alone
MLFLOW    ``/invocations``                                       ``message``, ``error_code``
VERTEX    ``AIP_PREDICT_ROUTE``, unless it is ``/invocations``   ``message``, ``error``: an object
========  =====================================================  =========================================
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from datarobot_drum.drum.serving.routes import Route, openai_handlers, path_variants, v2_handlers

INVOCATIONS = "/invocations"


class ErrorFormat(Enum):
    """What an error body has besides, or instead of, ``message``."""

    PLAIN = "plain"
    OPENAI = "openai"
    V2 = "v2"
    MLFLOW = "mlflow"
    VERTEX = "vertex"


_MLFLOW_CODES: Mapping[int, str] = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
}
_GOOGLE_CODES: Mapping[int, str] = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    513: "FAILED_PRECONDITION",
}


def find_error_format(endpoint: str, path: str) -> ErrorFormat:
    """Return the format of the errors of a request.

    Args:
        endpoint: the name of the handler; empty for a route that is not ours.
    """
    if endpoint in openai_handlers():
        return ErrorFormat.OPENAI
    if endpoint in v2_handlers():
        return ErrorFormat.V2
    if endpoint == "do_invocations":
        return ErrorFormat.MLFLOW if path.removesuffix("/").endswith(INVOCATIONS) else ErrorFormat.VERTEX
    return ErrorFormat.PLAIN


def error_formats_by_path(routes: Sequence[Route], prefix: str) -> dict[str, ErrorFormat]:
    """Return the formats of errors, by the path of the route, for requests that are rejected before routing."""
    formats = {
        path: find_error_format(route.handler, path) for route in routes for path in path_variants(route, prefix)
    }
    return {path: found for path, found in formats.items() if found is not ErrorFormat.PLAIN}


def mlflow_code(status: int) -> str:
    """Return the ``error_code`` of MLflow's scoring server."""
    return _MLFLOW_CODES.get(status) or ("BAD_REQUEST" if status < 500 else "INTERNAL_ERROR")


def google_error(status: int, message: str) -> dict[str, Any]:
    """Return the ``error`` object that Google's clients read."""
    code = _GOOGLE_CODES.get(status) or ("INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    return {"code": status, "message": message, "status": code}
