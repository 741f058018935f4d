"""gRPC on real processes: requests, errors, overload, cancellation, drain, several workers and refused starts."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.api.models import write_code
from tests.api.test_routed_models import write_models
from tests.grpc.grpc_servers import TIMEOUT, GrpcModel, error_of, running_grpc
from tests.processes import RunningServer, clean_environment, free_port
from tests.resilience.models import ControlledModel

pytestmark = pytest.mark.process

UPLOAD_LIMIT = 100_000


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> ControlledModel:
    return ControlledModel(tmp_path_factory.mktemp("grpc"))


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, model_folder: ControlledModel
) -> Iterator[tuple[RunningServer, GrpcModel]]:
    variables = {
        "DRUM_EXECUTOR_WORKERS": "1",
        "DRUM_EXECUTOR_QUEUE_TIMEOUT": "2",
        "DRUM_MAX_UPLOAD_SIZE": str(UPLOAD_LIMIT),
    }
    with running_grpc(tmp_path_factory.mktemp("served"), model_folder.path, **variables) as server:
        yield server


@pytest.fixture
def client(served: tuple[RunningServer, GrpcModel]) -> GrpcModel:
    return served[1]


def port_of(server: RunningServer) -> int:
    return int(server._environment["DRUM_GRPC_PORT"])


def test_triton_client_gets_the_prediction_of_http(served: tuple[RunningServer, GrpcModel]) -> None:
    server, _ = served
    csv = server.client.post("/predict/", content="x\n1\n-7\n").json()["predictions"]
    with triton.InferenceServerClient(f"127.0.0.1:{port_of(server)}") as connection:
        assert connection.is_server_live() and connection.is_server_ready() and connection.is_model_ready("model", "1")
        assert connection.get_server_metadata().name == "datarobot-drum"
        metadata = connection.get_model_metadata("model")
        assert [(tensor.name, tensor.datatype) for tensor in metadata.outputs] == [("predict", "FP64")]
        tensor = triton.InferInput("x", [2, 1], "INT64")
        tensor.set_data_from_numpy(np.array([[1], [-7]]))
        result = connection.infer("model", [tensor], request_id="7")
        assert result.get_response().id == "7"
        assert result.as_numpy("predict").ravel().tolist() == csv


def test_typed_contents_get_typed_contents(client: GrpcModel) -> None:
    assert client.predict(11, y=0.5) == 11


def test_health_service_reports_readiness(served: tuple[RunningServer, GrpcModel]) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port_of(served[0])}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert stub.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as unknown:
            stub.Check(health_pb2.HealthCheckRequest(service="other"))
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


def two_raw(message: Any) -> None:
    message.raw_input_contents.extend([b"", b""])


def short_raw(message: Any) -> None:
    del message.inputs[0].contents.int64_contents[:]
    message.raw_input_contents.append(b"\0" * 7)


def other_contents(message: Any) -> None:
    message.inputs[0].contents.fp64_contents.append(1)


def other_model(message: Any) -> None:
    message.model_name = "other"


def other_version(message: Any) -> None:
    message.model_version = "2"


def other_output(message: Any) -> None:
    message.outputs.add(name="other")


def no_inputs(message: Any) -> None:
    del message.inputs[:]


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (two_raw, grpc.StatusCode.INVALID_ARGUMENT, "1 inputs and 2 raw_input_contents"),
        (short_raw, grpc.StatusCode.INVALID_ARGUMENT, "take 8"),
        (other_contents, grpc.StatusCode.INVALID_ARGUMENT, "belong into int64_contents"),
        (other_output, grpc.StatusCode.INVALID_ARGUMENT, "no output 'other'"),
        (no_inputs, grpc.StatusCode.INVALID_ARGUMENT, "no inputs"),
        (other_model, grpc.StatusCode.NOT_FOUND, "no model 'other'"),
        (other_version, grpc.StatusCode.NOT_FOUND, "no version '2'"),
    ],
)
def test_invalid_requests_are_explained(client: GrpcModel, change: Any, code: grpc.StatusCode, text: str) -> None:
    message = client.request(1)
    change(message)
    found, details, trailer = error_of(client.send(message, metadata=(("x-request-id", "mine"),)))
    assert (found, text in details) == (code, True), details
    assert trailer["x-request-id"] == "mine" and "x-drum-version" in trailer and ";digest=" in trailer["x-drum-model"]


def test_bytes_that_are_no_message_are_rejected(client: GrpcModel) -> None:
    code, details, _ = error_of(client.method("ModelInfer").future(b"\xff\xff", timeout=TIMEOUT))
    assert (code, details.startswith("The request is no ModelInferRequest")) == (grpc.StatusCode.INVALID_ARGUMENT, True)


def test_a_too_large_message_is_rejected(client: GrpcModel) -> None:
    message = client.request(1)
    message.inputs[0].parameters["note"].string_param = "x" * UPLOAD_LIMIT
    assert error_of(client.send(message))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert client.predict(2) == 2.0


def test_an_unknown_method_is_unimplemented(client: GrpcModel) -> None:
    call = client.method("ModelConfig").future(b"", timeout=TIMEOUT)
    assert error_of(call)[0] is grpc.StatusCode.UNIMPLEMENTED


def test_overload_is_unavailable_with_retry_after(
    served: tuple[RunningServer, GrpcModel], model_folder: ControlledModel
) -> None:
    server, client = served
    model_folder.hold()
    try:
        running = client.send(client.request(31))
        server.wait_until(lambda: 31 in model_folder.ran, "the running call")
        code, details, trailer = error_of(client.send(client.request(32)))
        assert (code, trailer.get("retry-after")) == (grpc.StatusCode.UNAVAILABLE, "5")
        assert "overloaded" in details
        ready = client.method("ServerReady", "ServerReadyResponse")(b"", timeout=TIMEOUT)
        assert ready.ready  # probes never wait for a prediction thread
    finally:
        model_folder.release()
    assert running.result(TIMEOUT).outputs[0].contents.fp64_contents[0] == 31
    assert 32 not in model_folder.ran


@pytest.mark.parametrize("ends_by", ["cancel", "deadline"])
def test_a_queued_call_of_a_client_that_has_left_never_runs(
    served: tuple[RunningServer, GrpcModel], model_folder: ControlledModel, ends_by: str
) -> None:
    server, client = served
    first, second = (41, 42) if ends_by == "cancel" else (51, 52)
    model_folder.hold()
    try:
        running = client.send(client.request(first))
        server.wait_until(lambda: first in model_folder.ran, "the running call")
        queued = client.send(client.request(second), timeout=TIMEOUT if ends_by == "cancel" else 0.5)
        server.wait_until(lambda: stats(server)["executor_waiting"] > 0, "the queued call")
        if ends_by == "cancel":
            queued.cancel()
        else:
            assert error_of(queued)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
        server.wait_until(lambda: stats(server)["executor_waiting"] == 0, "an empty queue")
    finally:
        model_folder.release()
    running.result(TIMEOUT)
    assert second not in model_folder.ran


def stats(server: RunningServer) -> dict[str, Any]:
    document: dict[str, Any] = server.client.get("/stats/").json()
    return document


def test_predictions_are_measured_and_logged(served: tuple[RunningServer, GrpcModel]) -> None:
    server, client = served
    before = stats(server)["executor_completed"]
    client.predict(3)
    assert stats(server)["executor_completed"] == before + 1
    assert "POST /inference.GRPCInferenceService/ModelInfer 200" in server.log()


def test_a_drain_finishes_calls_in_flight_and_closes_the_port(tmp_path: Path) -> None:
    model = ControlledModel(tmp_path)
    with running_grpc(tmp_path, model.path) as (server, client):
        model.hold()
        running = client.send(client.request(1))
        server.wait_until(lambda: model.ran == [1], "the running call")
        server.send_signal(signal.SIGTERM)
        server.wait_until(lambda: not is_open(port_of(server)), "a closed port")
        model.release()
        assert running.result(TIMEOUT).outputs[0].contents.fp64_contents[0] == 1.0
        assert server.wait() == 0, server.log_end()


def is_open(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def test_several_workers_share_the_port(tmp_path: Path) -> None:
    model = ControlledModel(tmp_path)
    with running_grpc(tmp_path, model.path, CUSTOM_MODEL_WORKERS="2") as (server, client):
        pids: set[float] = set()

        def ask_anew() -> bool:
            fresh = GrpcModel(port_of(server))
            with suppress(grpc.RpcError):
                pids.add(fresh.predict(1, pid=1.0))
            fresh.close()
            return len(pids) == 2

        server.wait_until(ask_anew, "responses of both workers")
        assert client.predict(2) == 2.0


@pytest.mark.parametrize(
    ("environment", "extension", "text"),
    [
        ({"DRUM_SERVER_TYPE": "flask"}, False, "needs DRUM_SERVER_TYPE=fastapi"),
        ({"DRUM_SERVER_TYPE": "gunicorn"}, False, "needs DRUM_SERVER_TYPE=fastapi"),
        ({"DRUM_SERVER_TYPE": "fastapi"}, True, "does not guard gRPC calls"),
        ({"DRUM_SERVER_TYPE": "fastapi"}, False, "the port is in use"),
    ],
    ids=["flask", "gunicorn", "extension", "taken port"],
)
def test_a_start_that_cannot_serve_grpc_is_refused(
    tmp_path: Path, environment: dict[str, str], extension: bool, text: str
) -> None:
    model = write_code(tmp_path / "model", "def score(data, model, **kwargs):\n    return data\n")
    if extension:
        (model / "custom_fastapi.py").write_text("def init_app(app):\n    pass\n")
    command = [sys.executable, "-m", "datarobot_drum", "server", "--code-dir", str(model)]
    command += ["--target-type", "regression", "--address", f"127.0.0.1:{free_port()}"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        variables = clean_environment() | environment | {"DRUM_GRPC_PORT": str(taken.getsockname()[1])}
        ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=TIMEOUT)
    assert (ended.returncode, text in ended.stderr) == (1, True), ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_routed_set_has_each_model_by_its_name(tmp_path: Path) -> None:
    with running_grpc(tmp_path, write_models(tmp_path / "models")) as (server, _):
        with triton.InferenceServerClient(f"127.0.0.1:{port_of(server)}") as connection:
            assert connection.is_model_ready("house", "3") and connection.is_model_ready("flag")
            assert [tensor.name for tensor in connection.get_model_metadata("house").inputs] == ["a", "b"]
            inputs = []
            for name, value in (("a", 4.0), ("b", 1.0)):
                inputs.append(triton.InferInput(name, [1, 1], "FP64"))
                inputs[-1].set_data_from_numpy(np.array([[value]]))
            assert connection.infer("house", inputs).as_numpy("predict") == pytest.approx(9.0)
            assert connection.infer("flag", inputs).as_numpy("predict").tolist() == [[b"no"]]
            with pytest.raises(triton.InferenceServerException, match="this server has 'house', 'flag'"):
                connection.infer("other", inputs)
