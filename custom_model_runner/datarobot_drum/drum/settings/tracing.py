"""Tracing settings from OpenTelemetry's standard environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass

_OTLP_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@dataclass(frozen=True)
class TracingSettings:
    """The OpenTelemetry variables that this server reads itself.

    ``exporters`` are names of OpenTelemetry's registry, none when tracing is off. ``captured_headers`` are lower
    case.
    """

    exporters: tuple[str, ...] = ()
    captured_headers: tuple[str, ...] = ()


def read_tracing(environ: Mapping[str, str]) -> TracingSettings:
    """Read the settings. Tracing is on if the variables name an exporter or an endpoint."""
    headers = environ.get("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", "").lower()
    names = environ.get("OTEL_TRACES_EXPORTER", "")
    if not names and any(environ.get(variable) for variable in _OTLP_ENDPOINTS):
        names = "otlp"
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        names = ""
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or ""
    otlp = "otlp_proto_grpc" if protocol.strip() == "grpc" else "otlp_proto_http"
    exporters = [otlp if name == "otlp" else name for name in _listed(names) if name != "none"]
    return TracingSettings(tuple(exporters), tuple(_listed(headers)))


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
