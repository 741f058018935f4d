"""JSON responses for requests without a route, the same on every server."""

import re

from datarobot_drum.drum.exceptions import MethodNotAllowed, NotFound
from datarobot_drum.drum.serving.error_formats import ErrorFormat
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.messages import ModelResponse
from datarobot_drum.runtime_parameters import mask_secrets

_OPENAI_PATH = re.compile(r"/(v1/|(models|chat|completions|embeddings|responses)(/|$))")


def route_not_found(path: str, detail: str | None = None, *, prefix: str = "") -> ModelResponse:
    """Return 404; ``detail`` is the message of an extension's route that raised it.

    Args:
        prefix: of all routes of the server.
    """
    message = mask_secrets(detail) if detail else f"There is no route {path}."
    return error_response(NotFound(message), path_error_format(path, prefix))


def path_error_format(path: str, prefix: str = "") -> ErrorFormat:
    """Return the format of an error that no route raised."""
    if is_openai_path(path):
        return ErrorFormat.OPENAI
    return ErrorFormat.V2 if _is_v2_path(path, prefix) else ErrorFormat.PLAIN


def is_openai_path(path: str) -> bool:
    """Return True for a path that only an OpenAI client requests: it reads the ``error`` object."""
    return "/v2/" not in path and _OPENAI_PATH.search(path) is not None


def _is_v2_path(path: str, prefix: str) -> bool:
    return f"{path}/".startswith(f"{prefix}/v2/")


def method_not_allowed(method: str, allow: str, path: str = "", *, prefix: str = "") -> ModelResponse:
    """Return 405 with ``Allow`` in a fixed order (RFC 9110, 15.5.6)."""
    allowed = ", ".join(sorted(name.strip() for name in allow.split(",") if name.strip()))
    error = MethodNotAllowed(f"{method} is not allowed here; use {allowed}.", allow=allowed)
    return error_response(error, path_error_format(path, prefix))
