"""Triton's own client, ``tritonclient``: V2 over HTTP with JSON and binary tensors, and over gRPC."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from tests.conformance_clients.checks import Checks, NotSupported, Target, reject

CHECKS = Checks(("tritonclient",))

PROBABILITIES = "predict_proba"


@contextmanager
def _http(target: Target) -> Iterator[Any]:
    with triton_http.InferenceServerClient(target.url.removeprefix("http://")) as client:
        yield client


@contextmanager
def _grpc(target: Target) -> Iterator[Any]:
    with triton_grpc.InferenceServerClient(target.grpc) as client:
        yield client


def _columns(target: Target, module: Any, datatype: str = "FP64", **options: bool) -> list[Any]:
    inputs = []
    for name, cell in target.row.items():
        inputs.append(module.InferInput(name, [1, 1], datatype))
        cells = np.array([[cell]], np.float32 if datatype == "FP32" else np.float64)
        inputs[-1].set_data_from_numpy(cells, **options)
    return inputs


def _infer(target: Target, *, binary: bool, datatype: str = "FP64") -> Any:
    with _http(target) as client:
        wanted = [triton_http.InferRequestedOutput(PROBABILITIES, binary_data=binary)]
        inputs = _columns(target, triton_http, datatype, binary_data=binary)
        result = client.infer(target.model, inputs, request_id="42", outputs=wanted)
        assert result.get_response()["id"] == "42"
        return result.as_numpy(PROBABILITIES).ravel()


@CHECKS.add("HTTP: liveness, readiness, server and model metadata")
def http_metadata(target: Target) -> None:
    with _http(target) as client:
        assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(target.model)
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        metadata = client.get_model_metadata(target.model)
        assert [tensor["name"] for tensor in metadata["inputs"]] == list(target.row)


@CHECKS.add("HTTP: `infer`, an input per column, JSON tensors", "V2, JSON tensors")
def http_json(target: Target) -> Any:
    return _infer(target, binary=False)


@CHECKS.add("HTTP: `infer`, binary tensors in and out", "V2, binary tensors")
def http_binary(target: Target) -> Any:
    return _infer(target, binary=True)


@CHECKS.add("HTTP: `infer`, one matrix of all columns", "V2, binary matrix")
def http_matrix(target: Target) -> Any:
    with _http(target) as client:
        matrix = triton_http.InferInput("all", [1, len(target.row)], "FP64")
        matrix.set_data_from_numpy(np.array([list(target.row.values())]))
        return client.infer(target.model, [matrix]).as_numpy(PROBABILITIES).ravel()


@CHECKS.add(
    "HTTP: `infer`, FP32 tensors",
    "V2, FP32 tensors",
    inexact="the client has rounded the cells to 32 bits",
)
def http_single_precision(target: Target) -> Any:
    return _infer(target, binary=True, datatype="FP32")


@CHECKS.add("HTTP: `infer`, gzip in both directions", "V2, binary tensors, gzip")
def http_gzip(target: Target) -> Any:
    with _http(target) as client:
        inputs = _columns(target, triton_http)
        coding = {"request_compression_algorithm": "gzip", "response_compression_algorithm": "gzip"}
        return client.infer(target.model, inputs, **coding).as_numpy(PROBABILITIES).ravel()


@CHECKS.add("HTTP: `async_infer`", "V2, binary tensors, asynchronous")
def http_asynchronous(target: Target) -> Any:
    with _http(target) as client:
        result = client.async_infer(target.model, _columns(target, triton_http)).get_result()
        return result.as_numpy(PROBABILITIES).ravel()


@CHECKS.add("HTTP: an unknown input raises the server's text")
def http_unknown_input(target: Target) -> None:
    with _http(target) as client:
        inputs = _columns(target, triton_http)
        inputs[0]._name = f"{inputs[0].name()}s"
        reject(lambda: client.infer(target.model, inputs), InferenceServerException, "did you mean")


@CHECKS.add("HTTP: an unknown model raises the server's text")
def http_unknown_model(target: Target) -> None:
    with _http(target) as client:
        reject(lambda: client.get_model_metadata("other"), InferenceServerException, "There is no model 'other'")


@CHECKS.add("HTTP: model repository, statistics, configuration")
def http_repository(target: Target) -> None:
    with _http(target) as client:
        for call in (
            client.get_model_repository_index,
            client.get_inference_statistics,
            lambda: client.get_model_config(target.model),
        ):
            reject(call, InferenceServerException, "There is no ")
    raise NotSupported("extensions of Triton; 404 with `error`")


@CHECKS.add("HTTP: shared memory")
def http_shared_memory(target: Target) -> None:
    with _http(target) as client:
        inputs = _columns(target, triton_http)
        inputs[0].set_shared_memory("region", 8)
        reject(lambda: client.infer(target.model, inputs), InferenceServerException, "no support")
    raise NotSupported("400 that says so")


@CHECKS.add("gRPC: liveness, readiness, server and model metadata", needs="grpc")
def grpc_metadata(target: Target) -> None:
    with _grpc(target) as client:
        assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(target.model)
        assert client.get_server_metadata().name == "datarobot-drum"
        assert [tensor.name for tensor in client.get_model_metadata(target.model).inputs] == list(target.row)


@CHECKS.add("gRPC: `infer`, raw tensors", "V2, gRPC", needs="grpc")
def grpc_infer(target: Target) -> Any:
    with _grpc(target) as client:
        wanted = [triton_grpc.InferRequestedOutput(PROBABILITIES)]
        result = client.infer(target.model, _columns(target, triton_grpc), request_id="42", outputs=wanted)
        assert result.get_response().id == "42"
        return result.as_numpy(PROBABILITIES).ravel()


@CHECKS.add("gRPC: an unknown input raises the server's text", needs="grpc")
def grpc_unknown_input(target: Target) -> None:
    with _grpc(target) as client:
        inputs = _columns(target, triton_grpc)
        inputs[0]._input.name += "s"
        text = reject(lambda: client.infer(target.model, inputs), InferenceServerException, "did you mean")
        assert "INVALID_ARGUMENT" in text


@CHECKS.add("gRPC: streams (`ModelStreamInfer`)", needs="grpc")
def grpc_streams(target: Target) -> None:
    with _grpc(target) as client:
        errors: list[Any] = []
        client.start_stream(lambda result, error: errors.append(error))
        with suppress(InferenceServerException):  # the stream may have ended already
            client.async_stream_infer(target.model, _columns(target, triton_grpc))
        client.stop_stream()
        assert errors and "UNIMPLEMENTED" in str(errors[0]), errors
    raise NotSupported("an extension of Triton; `UNIMPLEMENTED`")
