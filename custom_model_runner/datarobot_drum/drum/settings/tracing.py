"""Settings of tracing and of exported metrics from OpenTelemetry's standard environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass

EXPORTER_VARIABLE = "OTEL_TRACES_EXPORTER"
HEADERS_VARIABLE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST"
METRICS_EXPORTER_VARIABLE = "OTEL_METRICS_EXPORTER"
INTERVAL_VARIABLE = "OTEL_METRIC_EXPORT_INTERVAL"
_DEFAULT_INTERVAL = 60.0
_METRICS_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
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
    metric_exporters: tuple[str, ...] = ()
    """Names of OpenTelemetry's registry for metrics, none if they are not exported."""
    metric_exporters_from: str = ""
    """The variable that switches the export of metrics on."""
    metric_interval: float = _DEFAULT_INTERVAL
    """Seconds from one export of metrics to the next."""


def read_tracing(environ: Mapping[str, str], *, exports_metrics: bool = True) -> TracingSettings:
    """Read the settings. Each signal is on if the variables name an exporter or an endpoint."""
    headers = environ.get(HEADERS_VARIABLE, "").lower()
    exporters, source = _read_exporters(environ, EXPORTER_VARIABLE, _OTLP_ENDPOINTS, "TRACES")
    of_metrics, metrics_source = _read_exporters(environ, METRICS_EXPORTER_VARIABLE, _METRICS_ENDPOINTS, "METRICS")
    if not exports_metrics:
        of_metrics, metrics_source = (), ""
    return TracingSettings(
        exporters, source, tuple(_listed(headers)), of_metrics, metrics_source, _read_interval(environ)
    )


def _read_exporters(
    environ: Mapping[str, str], variable: str, endpoints: tuple[str, ...], signal: str
) -> tuple[tuple[str, ...], str]:
    """Return the names of exporters, and the variable that they come from."""
    names, source = environ.get(variable, ""), variable
    endpoint = next((name for name in endpoints if environ.get(name)), None)
    if not names and endpoint:
        names, source = "otlp", endpoint
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        names = ""
    protocol = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or ""
    otlp = "otlp_proto_grpc" if protocol.strip() == "grpc" else "otlp_proto_http"
    exporters = tuple(otlp if name == "otlp" else name for name in _listed(names) if name != "none")
    return exporters, source if exporters else ""


def _read_interval(environ: Mapping[str, str]) -> float:
    """Return the interval, which the variable has in milliseconds; the default for anything but a positive number."""
    text = environ.get(INTERVAL_VARIABLE, "").strip()
    return int(text) / 1000 if text.isascii() and text.isdigit() and int(text) > 0 else _DEFAULT_INTERVAL


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
