"""Spans: one for each request on all three servers, a child of the client span and parent of those of the model."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.api.aborted_responses import read_until_abort, reset_after_first_byte
from tests.api.all_servers import SERVER_TYPES, Servers, running_servers
from tests.api.models import write_code
from tests.cases import each_case
from tests.grpc.grpc_servers import running_grpc
from tests.processes import RunningServer

pytestmark = pytest.mark.process

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}

MODEL = """
import time

import pandas as pd
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from datarobot_drum.drum.exceptions import CustomHTTPError


def load_model(code_dir):
    provider = TracerProvider()
    provider.ended = InMemorySpanExporter()
    provider.shown = 0
    provider.add_span_processor(SimpleSpanProcessor(provider.ended))
    trace.set_tracer_provider(provider)
    return "model"


def own_span(name):
    return trace.get_tracer("model").start_as_current_span(name)


def score(data, model, target_name, **kwargs):
    with own_span("scoring"):
        action = data["action"].iloc[0]
        if action == "raise":
            raise ValueError("the model said no")
        if action == "teapot":
            raise CustomHTTPError("short and stout", 418)
        return pd.DataFrame({target_name: data["action"]})


def score_stream(data, model, **kwargs):
    for number in range(3):
        with own_span(f"piece-{number}"):
            yield f"{number} "
    if data["action"].iloc[0] == "raise":
        raise ValueError("no more")
    while data["action"].iloc[0] == "endless":
        time.sleep(0.01)
        yield "and on"


def chat(completion_create_params, model):
    with own_span("chatting"):
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        return {"id": "c-1", "object": "chat.completion", "model": "m-2", "choices": [choice], "usage": usage}
"""

SHOW = '''
def show():
    """What has ended since the last time, the caller's own span not among it."""
    from opentelemetry import trace

    provider = trace.get_tracer_provider()
    finished = provider.ended.get_finished_spans()  # never cleared: a span may end between the read and the clear
    spans = [json.loads(span.to_json()) for span in finished[provider.shown :]]
    provider.shown = len(finished)
    return {"spans": [span for span in spans if span["attributes"].get("url.path") != "/spans"]}
'''
EXTENSIONS = {
    "custom_flask": f"import json\n{SHOW}\n\ndef init_app(app):\n    app.add_url_rule('/spans', view_func=show)\n",
    "custom_fastapi": f"import json\n{SHOW}\n\ndef init_app(app):\n    app.get('/spans')(show)\n",
}


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("traced")
    model = write_code(folder / "model", MODEL)
    for name, text in EXTENSIONS.items():
        (model / f"{name}.py").write_text(text)
    environment = {"TARGET_NAME": "response", "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "X-Tenant"}
    with running_servers(
        folder, "--code-dir", model, "--target-type", "textgeneration", environment=environment
    ) as servers:
        yield servers


@pytest.fixture(params=["flask", "fastapi"])
def server_type(request: pytest.FixtureRequest) -> str:
    """Run the test on each framework: gunicorn serves the app that Flask serves."""
    name: str = request.param
    return name


@pytest.fixture
def server(all_servers: Servers, server_type: str) -> RunningServer:
    """One of the servers, without spans of earlier tests."""
    spans_of(all_servers[server_type])
    return all_servers[server_type]


def spans_of(server: RunningServer) -> dict[str, dict[str, Any]]:
    """The spans that have ended since the last call, by name; no name may come twice."""
    spans: list[dict[str, Any]] = server.client.get("/spans").json()["spans"]
    assert len({span["name"] for span in spans}) == len(spans), spans
    return {span["name"]: span for span in spans}


def wait_for_spans(server: RunningServer, name: str) -> dict[str, dict[str, Any]]:
    """The same once a span called ``name`` has ended, which may be after the client has its response."""
    found: dict[str, dict[str, Any]] = {}

    def ended() -> bool:
        found.update(spans_of(server))
        return name in found

    server.wait_until(ended, f"span {name}")
    return found


def parent_of(span: dict[str, Any]) -> str | None:
    parent: str | None = span["parent_id"]
    return parent.removeprefix("0x") if parent else None


def id_of(span: dict[str, Any]) -> str:
    identifier: str = span["context"]["span_id"]
    return identifier.removeprefix("0x")


def test_a_request_span_lies_between_those_of_client_and_model(server: RunningServer) -> None:
    headers = {**TRACEPARENT, "X-Request-ID": "my-id", "X-Tenant": "blue", "X-Other": "unseen"}
    server.client.post("/predict/", content=b"action\nsay\n", headers=headers)
    spans = wait_for_spans(server, "drum.invocations")
    assert spans.keys() == {"drum.invocations", "scoring"}
    request = spans["drum.invocations"]
    assert (parent_of(request), parent_of(spans["scoring"])) == (PARENT, id_of(request))
    assert {span["context"]["trace_id"] for span in spans.values()} == {f"0x{TRACE}"}
    assert (request["kind"], request["status"]["status_code"]) == ("SpanKind.SERVER", "UNSET")
    digest = request["attributes"].pop("drum.model.digest")
    assert f";digest={digest}" in server.client.get("/info/").headers["X-Drum-Model"]
    assert request["attributes"] == {
        "drum.model": "model",
        "drum.model.version": "1",
        "http.request.method": "POST",
        "http.route": "/predict",
        "url.path": "/predict/",
        "http.request.header.x-request-id": ["my-id"],
        "http.request.header.x-tenant": ["blue"],
        "http.response.status_code": 200,
    }


def test_a_request_without_a_trace_starts_one(server: RunningServer) -> None:
    server.client.get("/info/")
    (span,) = wait_for_spans(server, "drum.info").values()
    assert parent_of(span) is None


def test_probes_have_no_spans(server: RunningServer) -> None:
    for path in ("/", "/ping", "/health/", "/livez", "/readyz"):
        server.client.get(path)
    server.client.get("/capabilities/")
    assert wait_for_spans(server, "drum.capabilities").keys() == {"drum.capabilities"}


@each_case(("action", "status", "kind"), [("raise", 500, "ERROR"), ("teapot", 418, "UNSET")])
def test_a_server_error_marks_the_span(server: RunningServer, action: str, status: int, kind: str) -> None:
    server.client.post("/predict/", content=f"action\n{action}\n".encode())
    span = wait_for_spans(server, "drum.invocations")["drum.invocations"]
    assert span["attributes"]["http.response.status_code"] == status
    assert span["status"]["status_code"] == kind
    assert [event["name"] for event in span["events"]] == (["exception"] if kind == "ERROR" else [])


def test_a_span_of_an_unknown_route_is_named_after_the_method(server: RunningServer) -> None:
    server.client.get("/nothing/4711")
    span = wait_for_spans(server, "GET")["GET"]
    assert span["attributes"]["http.response.status_code"] == 404
    assert "http.route" not in span["attributes"]


def test_the_span_of_a_stream_ends_when_the_stream_ends(server: RunningServer) -> None:
    server.client.post("/predictionsStream/", content=b"action\nsay\n")
    spans = wait_for_spans(server, "drum.invocations")
    request = spans.pop("drum.invocations")
    assert spans.keys() == {"piece-0", "piece-1", "piece-2"}
    assert {parent_of(span) for span in spans.values()} == {id_of(request)}
    assert max(span["end_time"] for span in spans.values()) <= request["end_time"]


def test_an_aborted_stream_marks_the_span(server: RunningServer) -> None:
    status, _ = read_until_abort(server, "/predictionsStream/", content=b"action\nraise\n")
    assert status == 200
    span = wait_for_spans(server, "drum.invocations")["drum.invocations"]
    assert span["status"] == {"status_code": "ERROR", "description": "PredictionError: ValueError: no more"}


def test_the_span_ends_when_the_client_disconnects(server: RunningServer) -> None:
    reset_after_first_byte(server, "/predictionsStream/", b"action\nendless\n")
    assert "drum.invocations" in wait_for_spans(server, "drum.invocations")


def test_a_chat_span_has_models_and_tokens_but_no_messages(server: RunningServer) -> None:
    request = {"model": "m-1", "temperature": 0.5, "messages": [{"role": "user", "content": "a secret"}]}
    server.client.post("/v1/chat/completions", json=request)
    spans = wait_for_spans(server, "drum.chat.completions")
    attributes = spans["drum.chat.completions"]["attributes"]
    assert len(attributes.pop("datarobot_association_id")) == 36
    assert {name: value for name, value in attributes.items() if name.startswith("gen_ai")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m-1",
        "gen_ai.request.stream": False,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.id": "c-1",
        "gen_ai.response.model": "m-2",
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 2,
    }
    assert "a secret" not in json.dumps(spans)


@each_case(
    ("path", "body", "operation"),
    [
        ("/v1/completions", {"prompt": "a secret", "max_tokens": 7}, "text_completion"),
        ("/v1/responses", {"input": "a secret", "max_output_tokens": 7}, "chat"),
    ],
)
def test_completion_and_response_spans_have_the_same_attributes(
    server: RunningServer, path: str, body: dict[str, Any], operation: str
) -> None:
    server.client.post(path, json={"model": "m-1", **body})
    name = f"drum{path.replace('/v1/', '.')}"
    spans = wait_for_spans(server, name)
    attributes = spans[name]["attributes"]
    expected = {"operation.name": operation, "request.model": "m-1", "request.max_tokens": 7}
    assert {key: attributes[f"gen_ai.{key}"] for key in expected} == expected
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (1, 2)
    assert "a secret" not in json.dumps(spans)


def test_an_inference_of_v2_has_the_span_of_a_prediction(server: RunningServer) -> None:
    inputs = [{"name": "action", "datatype": "BYTES", "shape": [1, 1], "data": ["say"]}]
    response = server.client.post("/v2/models/model/infer", json={"inputs": inputs}, headers=TRACEPARENT)
    assert response.status_code == 200, response.text
    spans = wait_for_spans(server, "drum.invocations")
    request = spans["drum.invocations"]
    assert (parent_of(request), parent_of(spans["scoring"])) == (PARENT, id_of(request))
    assert request["attributes"]["http.route"] == "/v2/models/{name}/infer"
    assert request["attributes"]["url.path"] == "/v2/models/model/infer"


def test_metadata_of_v2_has_a_span_and_its_probes_have_none(server: RunningServer) -> None:
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/model"):
        assert server.client.get(path).status_code == 200
    assert wait_for_spans(server, "drum.v2.models").keys() == {"drum.v2.models"}


class Collector(ThreadingHTTPServer):
    """Takes spans as OpenTelemetry's collectors do."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.services: list[str] = []
        self.spans: list[Any] = []

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = [item.value.string_value for item in resource.resource.attributes if item.key == "service.name"]
            self.services += names
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector) and self.path == "/v1/traces"
        self.server.take(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        thread = Thread(target=collector.serve_forever)
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


@pytest.mark.parametrize("server_type", SERVER_TYPES)
def test_standard_variables_export_spans_and_shutdown_flushes_them(
    server_type: str, collector: Collector, tmp_path: Path
) -> None:
    code = (
        "import pandas as pd\n\n\ndef score(data, model, **kwargs):\n    return pd.DataFrame({'Predictions': [1.0]})\n"
    )
    environment = {
        "DRUM_SERVER_TYPE": server_type,
        "DRUM_LAME_DUCK_SECONDS": "0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_SERVICE_NAME": "a-model",
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
    }
    arguments = ("--code-dir", write_code(tmp_path / "model", code), "--target-type", "regression")
    with RunningServer(*arguments, log=tmp_path / "log", environment=environment) as server:
        assert server.client.post("/predict/", content=b"a\n1\n", headers=TRACEPARENT).status_code == 200
        server.stop()
    assert collector.services == ["a-model"]
    (span,) = collector.spans
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("drum.invocations", TRACE, PARENT)


def test_a_grpc_call_has_the_span_of_a_prediction(collector: Collector, tmp_path: Path) -> None:
    code = "def score(data, model, **kwargs):\n    return data['x']\n"
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
    }
    with running_grpc(tmp_path, write_code(tmp_path / "model", code), **variables) as (server, client):
        client.send(client.request(3), metadata=tuple(TRACEPARENT.items())).result()
        client.method("ServerReady")(b"")
        server.stop()
    (span,) = collector.spans
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("drum.invocations", TRACE, PARENT)


@pytest.mark.parametrize("variables", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_tracing_can_be_disabled(variables: dict[str, str], collector: Collector, tmp_path: Path) -> None:
    code = (
        "import sys\n\n\ndef score(data, model, **kwargs):\n    raise ValueError('opentelemetry.sdk' in sys.modules)\n"
    )
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}", **variables}
    arguments = ("--code-dir", write_code(tmp_path / "model", code), "--target-type", "regression")
    with RunningServer(*arguments, log=tmp_path / "log", environment=environment) as server:
        response = server.client.post("/predict/", content=b"a\n1\n")
        assert response.json() == {"message": "ERROR: ValueError: False"}


def test_a_missing_exporter_is_logged_and_the_server_runs(tmp_path: Path) -> None:
    code = (
        "import pandas as pd\n\n\ndef score(data, model, **kwargs):\n    return pd.DataFrame({'Predictions': [1.0]})\n"
    )
    arguments = ("--code-dir", write_code(tmp_path / "model", code), "--target-type", "regression")
    environment = {"OTEL_TRACES_EXPORTER": "zipkin"}
    with RunningServer(*arguments, log=tmp_path / "log", environment=environment) as server:
        assert server.client.post("/predict/", content=b"a\n1\n").status_code == 200
        assert "pip install 'datarobot-drum[otel]'" in server.log()
