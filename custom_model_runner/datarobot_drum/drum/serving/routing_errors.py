"""What a request answers that no route serves: the same JSON on every server."""

from datarobot_drum.drum.exceptions import MethodNotAllowed, NotFound
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.messages import ModelResponse


def route_not_found(path: str, detail: str | None = None) -> ModelResponse:
    """404; ``detail`` is what an extension's own route said, if it was one that raised."""
    return error_response(NotFound(detail or f"There is no route {path}."))


def method_not_allowed(method: str, allow: str) -> ModelResponse:
    """405 with ``Allow`` in a fixed order (RFC 9110, 15.5.6)."""
    allowed = ", ".join(sorted(name.strip() for name in allow.split(",") if name.strip()))
    return error_response(MethodNotAllowed(f"{method} is not allowed here; use {allowed}.", allow=allowed))
