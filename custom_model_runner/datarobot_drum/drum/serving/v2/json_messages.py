"""Requests and responses over HTTP: a JSON document, with the cells of binary tensors behind it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import orjson

from datarobot_drum.drum.exceptions import BadRequest, UnprocessableInput
from datarobot_drum.drum.serving.messages import ModelResponse
from datarobot_drum.drum.serving.v2.datatypes import BYTES
from datarobot_drum.drum.serving.v2.messages import (
    InferenceRequest,
    InferenceResponse,
    InputTensor,
    ModelMetadata,
    OutputTensor,
    RequestedOutput,
    TensorHead,
    TensorMetadata,
)
from datarobot_drum.drum.serving.v2.tensors import encode_text, from_raw, from_values, to_raw
from datarobot_drum.drum.settings.limits import InputLimits
from datarobot_drum.drum.tabular.json_limits import check_json

HEADER_LENGTH = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"

_BINARY_SIZE, _BINARY_DATA, _BINARY_OUTPUT = "binary_data_size", "binary_data", "binary_data_output"

_UNSUPPORTED = {
    "shared_memory_region": "shared memory",
    "classification": "the classification extension",
    "sequence_id": "sequences",
}
"""Parameters of Triton's extensions that change the meaning of a request."""

_REQUEST_KEYS = ("id", "parameters", "inputs", "outputs", "model_name", "model_version")
_INPUT_KEYS = ("name", "shape", "datatype", "parameters", "data")
_OUTPUT_KEYS = ("name", "parameters", "shape", "datatype", "data")


def parse_request(body: bytes, header_length: str | None, limits: InputLimits) -> InferenceRequest:
    """Read the body of an inference request.

    Args:
        header_length: the header that gives the size of the JSON document; None for a body without binary tensors.

    Raises:
        BadRequest: the body is no such request.
        UnprocessableInput: its JSON is over a limit.
    """
    size = _header_length(header_length, len(body))
    document = _object(_parse_json(body[:size], limits), "The request", _REQUEST_KEYS)
    parameters = _parameters(document, "The request")
    binary = _BinaryData(memoryview(body)[size:])
    inputs = tuple(_input(item, binary) for item in _list(document, "inputs"))
    binary.require_end()
    outputs = tuple(_requested(item) for item in _list(document, "outputs"))
    return InferenceRequest(inputs, _text(document, "id", "The request", ""), parameters, outputs)


def _header_length(text: str | None, size: int) -> int:
    if text is None:
        return size
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:20]) <= size:
        raise BadRequest(
            f"The header {HEADER_LENGTH} is {text[:40]!r}: it must be the size of the JSON document, from 1 to the "
            f"{size} bytes of the body."
        )
    return int(text)


def _parse_json(content: bytes, limits: InputLimits) -> Any:
    nested = content.count(b"[") + content.count(b"{")
    if limits.max_json_items and nested > limits.max_json_items:
        raise UnprocessableInput(
            f"The JSON has more than {limits.max_json_items} lists and objects (DRUM_MAX_JSON_KEYS): send the data of "
            "a tensor as one flat list, or as binary data."
        )
    check_json(content, dataclasses.replace(limits, max_json_items=0))
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        hint = " JSON has no NaN: send null for a missing value." if b"NaN" in content else ""
        raise BadRequest(f"The request is not valid JSON: {error}.{hint}") from error


def _object(value: Any, what: str, keys: Sequence[str]) -> Mapping[str, Any]:
    """Return an object with no other keys; those of null are left out."""
    if not isinstance(value, dict):
        raise BadRequest(f"{what} is no JSON object.")
    for key in value:
        if key not in keys:
            nearest = get_close_matches(key, keys, n=1)
            hint = f" (did you mean {nearest[0]!r}?)" if nearest else f"; it has {', '.join(keys)}"
            raise BadRequest(f"{what} has the unknown key {key[:40]!r}{hint}.")
    return {key: item for key, item in value.items() if item is not None}


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    values = document.get(key, [])
    if not isinstance(values, list):
        raise BadRequest(f"The {key} of the request must be a list of objects.")
    return values


def _text(document: Mapping[str, Any], key: str, what: str, default: str | None = None) -> str:
    value = document.get(key, default)
    if not isinstance(value, str):
        raise BadRequest(f"{what} has no {key}." if value is None else f"{what} has a {key} that is no text.")
    return value


def _parameters(document: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict):
        raise BadRequest(f"{what} has parameters that are no JSON object.")
    for name, extension in _UNSUPPORTED.items():
        if parameters.get(name):
            raise BadRequest(f"{what} has the parameter {name}: this server has no support for {extension}.")
    return parameters


class _BinaryData:
    """The bytes behind the JSON document, which the binary tensors take in their order."""

    def __init__(self, content: memoryview) -> None:
        self._content = content
        self._position = 0

    def take(self, head: TensorHead, size: Any) -> memoryview:
        end = self._position + size if type(size) is int and size >= 0 else -1
        if not 0 <= end <= len(self._content):
            left = len(self._content) - self._position
            raise BadRequest(
                f"The input {head.shown} has {_BINARY_SIZE} {str(size)[:40]}, and {left} bytes of binary data are left "
                f"behind the JSON document (see the header {HEADER_LENGTH})."
            )
        taken = self._content[self._position : end]
        self._position = end
        return taken

    def require_end(self) -> None:
        rest = len(self._content) - self._position
        if rest:
            raise BadRequest(f"The request has {rest} bytes of binary data that belong to no input.")


def _input(item: Any, binary: _BinaryData) -> InputTensor:
    document = _object(item, "An input", _INPUT_KEYS)
    name = _text(document, "name", "An input")
    what = f"The input {name[:100]!r}"
    head = TensorHead(name, _text(document, "datatype", what), _shape(document, what), _parameters(document, what))
    if _BINARY_SIZE in head.parameters:
        if "data" in document:
            raise BadRequest(f"{what} has both data and {_BINARY_SIZE}: send one of them.")
        return from_raw(head, binary.take(head, head.parameters[_BINARY_SIZE]))
    data = document.get("data")
    if not isinstance(data, list):
        raise BadRequest(f"{what} has no data: send a list, or binary data with its {_BINARY_SIZE}.")
    return from_values(head, _flatten(head, data))


def _shape(document: Mapping[str, Any], what: str) -> tuple[int, ...]:
    shape = document.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int for size in shape):
        raise BadRequest(f"{what} has no shape: send a list of whole numbers, such as [rows, 1].")
    return tuple(shape)


def _flatten(head: TensorHead, data: list[Any]) -> list[Any]:
    """Return the values of a list, which is flat or nested as the shape says."""
    if list not in set(map(type, data)):
        return data
    groups: list[Any] = [data]
    for size in head.shape:
        if not all(type(group) is list and len(group) == size for group in groups):
            raise BadRequest(
                f"The data of the input {head.shown} are nested in another way than its shape {list(head.shape)}: send "
                "one flat list, row by row."
            )
        groups = [value for group in groups for value in group]
    return groups


def _requested(item: Any) -> RequestedOutput:
    document = _object(item, "An output", _OUTPUT_KEYS)
    name = _text(document, "name", "An output")
    parameters = _parameters(document, f"The output {name[:100]!r}")
    return RequestedOutput(name, _flag(parameters, _BINARY_DATA, f"The output {name[:100]!r}"))


def _flag(parameters: Mapping[str, Any], key: str, what: str) -> bool | None:
    value = parameters.get(key)
    if value is not None and not isinstance(value, bool):
        raise BadRequest(f"{what} has the parameter {key} {str(value)[:40]!r}: it must be true or false.")
    return value


def infer_response(response: InferenceResponse, request: InferenceRequest) -> ModelResponse:
    """Encode a response: with binary outputs where the request asks for them.

    Raises:
        PredictionError: the model returned text that UTF-8 cannot carry.
    """
    by_default = _flag(request.parameters, _BINARY_OUTPUT, "The request") or False
    wishes = {output.name: output.binary for output in request.outputs}
    outputs, chunks = [], []
    for output in response.outputs:
        wish = wishes.get(output.name)
        if by_default if wish is None else wish:
            chunks.append(to_raw(output))
            outputs.append(_describe(output, {_BINARY_SIZE: len(chunks[-1])}))
        else:
            outputs.append({**_describe(output, {}), "data": _data(output)})
    document = {
        "model_name": response.model_name,
        "model_version": response.model_version,
        **({"id": response.id} if response.id else {}),
        **({"parameters": dict(response.parameters)} if response.parameters else {}),
        "outputs": outputs,
    }
    content = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    if not chunks:
        return ModelResponse(content)
    return ModelResponse(b"".join([content, *chunks]), BINARY, headers={HEADER_LENGTH: str(len(content))})


def _describe(output: OutputTensor, more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": output.name,
        "datatype": output.datatype,
        "shape": list(output.shape),
        "parameters": {**output.parameters, **more},
    }


def _data(output: OutputTensor) -> Any:
    if output.datatype == BYTES:
        cells = output.cells.tolist()
        for cell in cells:
            encode_text(cell)
        return cells
    return np.ascontiguousarray(output.cells).ravel()


def to_document(metadata: ModelMetadata) -> dict[str, Any]:
    """Return the JSON document of a model."""
    return {
        "name": metadata.name,
        "versions": list(metadata.versions),
        "platform": metadata.platform,
        "inputs": list(map(_tensor_document, metadata.inputs)),
        "outputs": list(map(_tensor_document, metadata.outputs)),
        "properties": dict(metadata.properties),
    }


def _tensor_document(tensor: TensorMetadata) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
