"""Translates between the messages of the service and the core's requests and responses."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError

from datarobot_drum.drum.exceptions import BadRequest
from datarobot_drum.drum.grpc.schema import (
    ModelInferRequest,
    ModelInferResponse,
    ModelMetadataRequest,
    ModelMetadataResponse,
    ModelReadyRequest,
)
from datarobot_drum.drum.serving.v2.datatypes import BYTES
from datarobot_drum.drum.serving.v2.messages import (
    InferenceRequest,
    InferenceResponse,
    InputTensor,
    ModelMetadata,
    OutputTensor,
    RequestedOutput,
    TensorHead,
)
from datarobot_drum.drum.serving.v2.tensors import encode_text, from_raw, from_values, to_raw, to_values

_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""The field of ``InferTensorContents`` by datatype; FP16 and BF16 have none."""

_ALL_CONTENTS = frozenset(_CONTENTS.values())


def parse(kind: Any, content: bytes) -> Any:
    """Return the message of a class.

    Raises:
        BadRequest: the bytes are no such message.
    """
    try:
        return kind.FromString(content)
    except DecodeError as error:
        raise BadRequest(f"The request is no {kind.DESCRIPTOR.name}: {error}.") from error


def parse_model_version(content: bytes, *, for_metadata: bool) -> tuple[str, str]:
    """Return the name and the version of the model that a request names."""
    message = parse(ModelMetadataRequest if for_metadata else ModelReadyRequest, content)
    return message.name, message.version


def parse_infer_request(content: bytes) -> Any:
    """Return the message of an inference request; ``to_request`` translates it."""
    return parse(ModelInferRequest, content)


def to_request(message: Any) -> InferenceRequest:
    """Translate an inference request.

    Raises:
        BadRequest: its tensors are not valid.
    """
    raw = message.raw_input_contents
    if len(raw) and len(raw) != len(message.inputs):
        raise BadRequest(
            f"The request has {len(message.inputs)} inputs and {len(raw)} raw_input_contents: send one for each input, "
            "or none."
        )
    inputs = tuple(_to_input(tensor, raw[i] if len(raw) else None) for i, tensor in enumerate(message.inputs))
    outputs = tuple(RequestedOutput(output.name) for output in message.outputs)
    for output in message.outputs:
        _require_supported(output.parameters)
    return InferenceRequest(inputs, message.id, _to_parameters(message.parameters), outputs)


def _to_input(tensor: Any, raw: bytes | None) -> InputTensor:
    head = TensorHead(tensor.name, tensor.datatype, tuple(tensor.shape), _to_parameters(tensor.parameters))
    given = {field.name for field, _ in tensor.contents.ListFields()} & _ALL_CONTENTS
    if raw is not None:
        if given:
            raise BadRequest(f"The input {head.shown} has both contents and raw_input_contents: send one of them.")
        return from_raw(head, memoryview(raw))
    own = _CONTENTS.get(head.datatype)
    if own is None:
        raise BadRequest(f"The input {head.shown} has the datatype {head.datatype}: send it in raw_input_contents.")
    if given - {own}:
        raise BadRequest(
            f"The input {head.shown} of datatype {head.datatype} has {', '.join(sorted(given - {own}))}: its values "
            f"belong into {own}."
        )
    return from_values(head, list(getattr(tensor.contents, own)))


def _to_parameters(parameters: Any) -> Mapping[str, Any]:
    _require_supported(parameters)
    return {name: _to_parameter(parameter) for name, parameter in parameters.items()}


def _to_parameter(parameter: Any) -> Any:
    choice = parameter.WhichOneof("parameter_choice")
    return None if choice is None else getattr(parameter, choice)


def _require_supported(parameters: Any) -> None:
    if "shared_memory_region" in parameters:
        raise BadRequest("The request uses shared memory, for which this server has no support: send the cells.")
    if "classification" in parameters:
        raise BadRequest("The request has the parameter classification, for which this server has no support.")


def to_infer_response(response: InferenceResponse, *, raw: bool) -> bytes:
    """Encode an inference response.

    Args:
        raw: send the cells in ``raw_output_contents``, as the request did.

    Raises:
        PredictionError: the model returned text that UTF-8 cannot carry.
    """
    message = ModelInferResponse(model_name=response.model_name, model_version=response.model_version, id=response.id)
    for output in response.outputs:
        tensor = message.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
        for name, value in output.parameters.items():
            tensor.parameters[name].string_param = value
        if raw:
            message.raw_output_contents.append(to_raw(output))
        else:
            _add_contents(tensor.contents, output)
    content: bytes = message.SerializeToString()
    return content


def _add_contents(contents: Any, output: OutputTensor) -> None:
    values = to_values(output)
    if output.datatype == BYTES:
        values = list(map(encode_text, values))
    getattr(contents, _CONTENTS[output.datatype]).extend(values)


def to_metadata_response(metadata: ModelMetadata) -> bytes:
    """Encode the description of a model."""
    message = ModelMetadataResponse(
        name=metadata.name,
        versions=metadata.versions,
        platform=metadata.platform,
        properties=dict(metadata.properties),
    )
    for tensors, target in ((metadata.inputs, message.inputs), (metadata.outputs, message.outputs)):
        for tensor in tensors:
            target.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
    content: bytes = message.SerializeToString()
    return content
