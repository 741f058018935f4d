"""The span of a request, from its request line to the last byte of its response.

It continues the client's trace. Spans of the model become its children, also in threads and streams, because the
context is propagated. Names and attributes follow OpenTelemetry's semantic conventions for HTTP servers. Without a
provider, set up by the standard variables or by model code, nothing is imported and no span is created.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from contextvars import Token
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.error_text import MAX_LOGGED_TEXT, format_error, shortened
from datarobot_drum.drum.tracing.path_lookup import find_by_path
from datarobot_drum.runtime_parameters import mask_secrets
from datarobot_drum.version import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

ReadHeader = Callable[[str], "str | None"]
"""Returns the value of a request header by its lower-case name."""


_is_on = False


def provider_exists() -> bool:
    """Return True if a tracer provider is set up; does not import OpenTelemetry."""
    api: Any = sys.modules.get("opentelemetry.trace")
    return api is not None and not isinstance(api.get_tracer_provider(), api.ProxyTracerProvider)


def detect_provider() -> None:
    """Switch spans on or off for this process. Call it after loading the model, which may set up a provider."""
    global _is_on
    _is_on = provider_exists()


def annotate(attributes: Mapping[str, Any]) -> None:
    """Set attributes of the current span; None values are skipped."""
    if _is_on:
        from opentelemetry.trace import get_current_span

        get_current_span().set_attributes({name: value for name, value in attributes.items() if value is not None})


def note_error(error: BaseException) -> None:
    """Record ``error`` on the current span and mark it as failed."""
    if _is_on:
        from opentelemetry.trace import StatusCode, get_current_span

        span = get_current_span()
        span.record_exception(error, _masked(error))
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(StatusCode.ERROR, mask_secrets(shortened(f"{type(error).__name__}: {error}", MAX_LOGGED_TEXT)))


def _masked(error: BaseException) -> dict[str, str]:
    """Return the attributes of an exception event with credentials masked."""
    return {
        "exception.message": mask_secrets(shortened(str(error), MAX_LOGGED_TEXT)),
        "exception.stacktrace": mask_secrets(format_error(error)),
    }


class RequestSpan:
    """A span that is current until it ends."""

    def __init__(self, span: Span, token: Token[Context]) -> None:
        self._span = span
        self._token = token

    def end(self, status: int) -> None:
        """End the span with the status of the response; 0 if the client disconnected before."""
        from opentelemetry import context
        from opentelemetry.trace import StatusCode

        if status:
            self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)
        context.detach(self._token)
        self._span.end()


class Tracing:
    """Starts the spans of requests.

    Args:
        routes: span name and route template by path.
        subpath_routes: the same for routes that include everything below a path.
        patterns: the same for routes whose path has parameters.
        captured_headers: lower-case names of request headers that become attributes.
    """

    def __init__(
        self,
        routes: Mapping[str, tuple[str, str]] | None = None,
        subpath_routes: Mapping[str, tuple[str, str]] | None = None,
        captured_headers: tuple[str, ...] = (),
        patterns: Mapping[re.Pattern[str], tuple[str, str]] | None = None,
    ) -> None:
        self._routes = routes or {}
        self._subpath_routes = subpath_routes or {}
        self._captured_headers = captured_headers
        self._patterns = patterns or {}

    def begin(
        self, method: str, path: str, header: ReadHeader, request_id: str, more: Mapping[str, str] | None = None
    ) -> RequestSpan | None:
        """Start the span of a request, with ``more`` attributes, and make it current; None without a provider."""
        if not _is_on:
            return None
        from opentelemetry import context, propagate, trace

        found = self._routes.get(path) or find_by_path(path, self._subpath_routes, self._patterns)
        name, route = found or (method, None)
        attributes: dict[str, Any] = {
            "http.request.method": method,
            "url.path": path,
            "http.request.header.x-request-id": [request_id],
            **(more or {}),
        }
        if route is not None:
            attributes["http.route"] = route
        for captured in self._captured_headers:
            if value := header(captured):
                attributes[f"http.request.header.{captured}"] = [value]
        incoming = {field: value for field in propagate.get_global_textmap().fields if (value := header(field))}
        span = trace.get_tracer("datarobot_drum", __version__).start_span(
            name, propagate.extract(incoming), trace.SpanKind.SERVER, attributes
        )
        return RequestSpan(span, context.attach(trace.set_span_in_context(span)))


def trace_fields() -> dict[str, str]:
    """Return the ids of the current span for log records; empty outside a trace."""
    if not _is_on:
        return {}
    from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}
