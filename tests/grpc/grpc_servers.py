"""Servers with a gRPC port, and clients for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from datarobot_drum.drum.grpc.schema import ModelInferRequest, ModelInferResponse, message_class
from datarobot_drum.drum.serving.v2.grpc_paths import SERVICE
from tests.processes import RunningServer, free_port

TIMEOUT = 60.0


class GrpcModel:
    """A model behind gRPC, called with plain messages."""

    def __init__(self, port: int, name: str = "model") -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_retries", 0)])
        self._name = name

    def method(self, name: str, response: str | None = None) -> Any:
        """Return a callable that sends bytes, and returns bytes or a message."""
        kind = message_class(response) if response else None
        return self._channel.unary_unary(f"/{SERVICE}/{name}", response_deserializer=kind.FromString if kind else None)

    def request(self, x: int, **columns: float) -> Any:
        """Return an inference request of one row."""
        message = ModelInferRequest(model_name=self._name)
        for name, value in {"x": x, **columns}.items():
            is_whole = isinstance(value, int)
            tensor = message.inputs.add(name=name, datatype="INT64" if is_whole else "FP64", shape=[1])
            (tensor.contents.int64_contents if is_whole else tensor.contents.fp64_contents).append(value)
        return message

    def send(self, message: Any, timeout: float = TIMEOUT, **options: Any) -> Any:
        """Send an inference request; return the future of its response."""
        call = self._channel.unary_unary(f"/{SERVICE}/ModelInfer", response_deserializer=ModelInferResponse.FromString)
        return call.future(message.SerializeToString(), timeout=timeout, **options)

    def predict(self, x: int, timeout: float = TIMEOUT, **columns: float) -> float:
        """Return the prediction of one row."""
        value: float = self.send(self.request(x, **columns), timeout).result().outputs[0].contents.fp64_contents[0]
        return value

    def close(self) -> None:
        self._channel.close()


@contextmanager
def running_grpc(folder: Path, model: Path, **environment: str) -> Iterator[tuple[RunningServer, GrpcModel]]:
    """Start a FastAPI server with a gRPC port; stop it, unless the test has."""
    port = free_port()
    variables = {"DRUM_SERVER_TYPE": "fastapi", "DRUM_GRPC_PORT": str(port), "DRUM_LAME_DUCK_SECONDS": "0"}
    arguments = ("--code-dir", model, "--target-type", "regression")
    with RunningServer(*arguments, log=folder / "log", environment=variables | environment) as server:
        client = GrpcModel(port)
        try:
            yield server, client
        finally:
            client.close()


def error_of(call: Any) -> tuple[grpc.StatusCode, str, dict[str, Any]]:
    """Return code, text and trailing metadata of a call that fails."""
    error = call.exception(TIMEOUT)
    assert error is not None
    return error.code(), error.details(), dict(error.trailing_metadata() or ())
