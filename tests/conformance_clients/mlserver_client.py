"""MLServer's codecs with its documented requests, its gRPC stubs, and its command ``mlserver infer``."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import numpy as np
import pandas as pd
import requests
from mlserver.codecs import NumpyCodec, NumpyRequestCodec, PandasCodec
from mlserver.grpc import converters
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from mlserver.types import InferenceResponse

from tests.conformance_clients.checks import Checks, Target

CHECKS = Checks(("mlserver", "tritonclient"))


def _requests(target: Target) -> tuple[Any, Any]:
    """Return the requests of both codecs: a tensor per column, and one matrix."""
    frame = pd.DataFrame([dict(target.row)])
    return PandasCodec.encode_request(frame), NumpyRequestCodec.encode_request(np.array([list(target.row.values())]))


def _probabilities(response: Any) -> Any:
    (output,) = (output for output in response.outputs if output.name == "predict_proba")
    return NumpyCodec.decode_output(output).ravel()


def _post(target: Target, request: Any) -> Any:
    url = f"{target.url}/v2/models/{target.model}/infer"
    response = requests.post(url, json=request.model_dump(), timeout=60)
    assert response.status_code == 200, response.text
    return _probabilities(InferenceResponse.model_validate_json(response.text))


def _call(target: Target, request: Any) -> Any:
    with grpc.insecure_channel(target.grpc) as channel:
        message = converters.ModelInferRequestConverter.from_types(request, model_name=target.model, model_version=None)
        response = GRPCInferenceServiceStub(channel).ModelInfer(message, timeout=60)
    return _probabilities(converters.ModelInferResponseConverter.to_types(response))


@CHECKS.add("REST: `PandasCodec`, a tensor per column", "MLServer's codecs, V2 JSON, columns")
def rest_columns(target: Target) -> Any:
    return _post(target, _requests(target)[0])


@CHECKS.add("REST: `NumpyRequestCodec`, one matrix", "MLServer's codecs, V2 JSON, matrix")
def rest_matrix(target: Target) -> Any:
    return _post(target, _requests(target)[1])


@CHECKS.add("gRPC: `PandasCodec`, typed contents", "MLServer's codecs, V2 gRPC, columns", needs="grpc")
def grpc_columns(target: Target) -> Any:
    return _call(target, _requests(target)[0])


@CHECKS.add("gRPC: `NumpyRequestCodec`, typed contents", "MLServer's codecs, V2 gRPC, matrix", needs="grpc")
def grpc_matrix(target: Target) -> Any:
    return _call(target, _requests(target)[1])


@CHECKS.add("`mlserver infer` with a file of requests", "`mlserver infer`")
def command(target: Target) -> Any:
    with TemporaryDirectory() as folder:
        source, result = Path(folder, "requests.jsonl"), Path(folder, "responses.jsonl")
        source.write_text(json.dumps(_requests(target)[0].model_dump(exclude_none=True)) + "\n")
        url = target.url.removeprefix("http://")
        words = ["infer", "--url", url, "--model-name", target.model, "-i", str(source), "-o", str(result)]
        program = Path(sys.executable).with_name("mlserver")
        done = subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0 and result.exists(), (done.stdout + done.stderr)[-300:]
        return _probabilities(InferenceResponse.model_validate_json(result.read_text().splitlines()[0]))
