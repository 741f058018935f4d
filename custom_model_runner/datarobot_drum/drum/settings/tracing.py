"""Tracing settings from OpenTelemetry's standard environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass

EXPORTER_VARIABLE = "OTEL_TRACES_EXPORTER"
HEADERS_VARIABLE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST"
_OTLP_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@dataclass(frozen=True)
class TracingSettings:
    """The OpenTelemetry variables that this server reads itself.

    ``exporters`` are names of OpenTelemetry's registry, none when tracing is off. ``captured_headers`` are lower
    case.
    """

    exporters: tuple[str, ...] = ()
    exporters_from: str = ""
    """The variable that switches tracing on."""
    captured_headers: tuple[str, ...] = ()


def read_tracing(environ: Mapping[str, str]) -> TracingSettings:
    """Read the settings. Tracing is on if the variables name an exporter or an endpoint."""
    headers = environ.get(HEADERS_VARIABLE, "").lower()
    names, source = environ.get(EXPORTER_VARIABLE, ""), EXPORTER_VARIABLE
    endpoint = next((variable for variable in _OTLP_ENDPOINTS if environ.get(variable)), None)
    if not names and endpoint:
        names, source = "otlp", endpoint
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        names = ""
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or ""
    otlp = "otlp_proto_grpc" if protocol.strip() == "grpc" else "otlp_proto_http"
    exporters = [otlp if name == "otlp" else name for name in _listed(names) if name != "none"]
    return TracingSettings(tuple(exporters), source if exporters else "", tuple(_listed(headers)))


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
