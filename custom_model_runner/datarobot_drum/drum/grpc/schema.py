"""The Protocol Buffers messages of the service, as ``open_inference_grpc.proto`` of KServe publishes them.

They are built here, in a descriptor pool of their own, and not by generated code: that registers the package
``inference`` for the whole process, and so fails in a process that also uses a client of Triton or MLServer. It is also
bound to the versions of Protocol Buffers near that of its generator.
"""

from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PACKAGE = "inference"

_TENSOR = ("string name", "string datatype", "repeated int64 shape")
_PARAMETERS = "map InferParameter parameters"
_CONTENTS = (*_TENSOR, _PARAMETERS, "InferTensorContents contents")

MESSAGES = {
    "ServerLiveRequest": (),
    "ServerLiveResponse": ("bool live",),
    "ServerReadyRequest": (),
    "ServerReadyResponse": ("bool ready",),
    "ModelReadyRequest": ("string name", "string version"),
    "ModelReadyResponse": ("bool ready",),
    "ServerMetadataRequest": (),
    "ServerMetadataResponse": ("string name", "string version", "repeated string extensions"),
    "ModelMetadataRequest": ("string name", "string version"),
    "ModelMetadataResponse": (
        "string name",
        "repeated string versions",
        "string platform",
        "repeated ModelMetadataResponse.TensorMetadata inputs",
        "repeated ModelMetadataResponse.TensorMetadata outputs",
        "map string properties",
    ),
    "ModelMetadataResponse.TensorMetadata": _TENSOR,
    "ModelInferRequest": (
        "string model_name",
        "string model_version",
        "string id",
        _PARAMETERS,
        "repeated ModelInferRequest.InferInputTensor inputs",
        "repeated ModelInferRequest.InferRequestedOutputTensor outputs",
        "repeated bytes raw_input_contents",
    ),
    "ModelInferRequest.InferInputTensor": _CONTENTS,
    "ModelInferRequest.InferRequestedOutputTensor": ("string name", _PARAMETERS),
    "ModelInferResponse": (
        "string model_name",
        "string model_version",
        "string id",
        _PARAMETERS,
        "repeated ModelInferResponse.InferOutputTensor outputs",
        "repeated bytes raw_output_contents",
    ),
    "ModelInferResponse.InferOutputTensor": _CONTENTS,
    "InferParameter": (
        "oneof bool bool_param",
        "oneof int64 int64_param",
        "oneof string string_param",
        "oneof double double_param",
        "oneof uint64 uint64_param",
    ),
    "InferTensorContents": (
        "repeated bool bool_contents",
        "repeated int32 int_contents",
        "repeated int64 int64_contents",
        "repeated uint32 uint_contents",
        "repeated uint64 uint64_contents",
        "repeated float fp32_contents",
        "repeated double fp64_contents",
        "repeated bytes bytes_contents",
    ),
}
"""The fields of each message in the order of their numbers; nested messages follow theirs."""

_ONEOF = "parameter_choice"


def _build_file() -> FileDescriptorProto:
    file = FileDescriptorProto(name="drum/open_inference_grpc.proto", package=PACKAGE, syntax="proto3")
    messages: dict[str, Any] = {}
    for name, fields in MESSAGES.items():
        parent, _, own = name.rpartition(".")
        message = messages[parent].nested_type.add(name=own) if parent else file.message_type.add(name=own)
        messages[name] = message
        for number, field in enumerate(fields, start=1):
            _add_field(message, f"{PACKAGE}.{name}", number, field.split())
    return file


def _add_field(message: DescriptorProto, full_name: str, number: int, words: list[str]) -> None:
    *rule, kind, name = words
    field = message.field.add(name=name, json_name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
    if rule in (["repeated"], ["map"]):
        field.label = FieldDescriptorProto.LABEL_REPEATED
    if rule == ["oneof"]:
        if not message.oneof_decl:
            message.oneof_decl.add(name=_ONEOF)
        field.oneof_index = 0
    if rule == ["map"]:
        entry = message.nested_type.add(name=f"{name.title()}Entry")
        entry.options.map_entry = True
        _add_field(entry, "", 1, ["string", "key"])
        _add_field(entry, "", 2, [kind, "value"])
        kind = f"{full_name.removeprefix(f'{PACKAGE}.')}.{entry.name}"
    _set_type(field, kind)


def _set_type(field: FieldDescriptorProto, kind: str) -> None:
    if kind.islower():
        field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
    else:
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{kind}"


_pool = DescriptorPool()
_pool.AddSerializedFile(_build_file().SerializeToString())


def message_class(name: str) -> Any:
    """Return the class of a message by its name."""
    return GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))


ServerLiveResponse = message_class("ServerLiveResponse")
ServerReadyResponse = message_class("ServerReadyResponse")
ModelReadyRequest = message_class("ModelReadyRequest")
ModelReadyResponse = message_class("ModelReadyResponse")
ServerMetadataResponse = message_class("ServerMetadataResponse")
ModelMetadataRequest = message_class("ModelMetadataRequest")
ModelMetadataResponse = message_class("ModelMetadataResponse")
ModelInferRequest = message_class("ModelInferRequest")
ModelInferResponse = message_class("ModelInferResponse")
