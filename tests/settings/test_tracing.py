"""OpenTelemetry's variables for metrics."""

from collections.abc import Mapping

from datarobot_drum.drum.settings.tracing import read_tracing
from tests.cases import each_case

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
OF_METRICS = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
NAMES = "OTEL_METRICS_EXPORTER"


@each_case(
    ("environ", "exporters", "source"),
    [
        ({}, (), ""),
        ({ENDPOINT: "http://c"}, ("otlp_proto_http",), ENDPOINT),
        ({OF_METRICS: "http://c"}, ("otlp_proto_http",), OF_METRICS),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, (), ""),
        ({ENDPOINT: "http://c", NAMES: "none"}, (), ""),
        ({ENDPOINT: "http://c", "OTEL_SDK_DISABLED": "TRUE"}, (), ""),
        (
            {NAMES: "console, otlp", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"},
            ("console", "otlp_proto_grpc"),
            NAMES,
        ),
    ],
)
def test_variables_switch_the_export_of_metrics_on(
    environ: Mapping[str, str], exporters: tuple[str, ...], source: str
) -> None:
    settings = read_tracing(environ)
    assert (settings.metric_exporters, settings.metric_exporters_from) == (exporters, source)
    assert read_tracing(environ, exports_metrics=False).metric_exporters == ()


@each_case(("text", "seconds"), [("500", 0.5), ("", 60.0), ("0", 60.0), ("-1", 60.0), ("soon", 60.0)])
def test_the_interval_is_in_milliseconds(text: str, seconds: float) -> None:
    assert read_tracing({"OTEL_METRIC_EXPORT_INTERVAL": text}).metric_interval == seconds
