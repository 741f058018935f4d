"""The messages are those that the clients of Triton have, which follow the published protocol."""

from typing import Any

import pytest
from tritonclient.grpc import service_pb2

from datarobot_drum.drum.grpc.schema import MESSAGES, ModelInferRequest, message_class


def fields(descriptor: Any) -> list[tuple[Any, ...]]:
    return [(field.name, field.number, field.type, field.is_repeated) for field in descriptor.fields]


def published(name: str) -> Any:
    message: Any = service_pb2
    for part in name.split("."):
        message = getattr(message, part)
    return message.DESCRIPTOR


# Triton's own messages call the last field of ModelMetadataResponse otherwise, and have no properties.
@pytest.mark.parametrize("name", [name for name in MESSAGES if name != "ModelMetadataResponse"])
def test_messages_have_the_published_fields(name: str) -> None:
    assert fields(message_class(name).DESCRIPTOR) == fields(published(name))


def test_a_message_of_the_client_is_read() -> None:
    theirs = service_pb2.ModelInferRequest(model_name="m", id="1", raw_input_contents=[b"\0" * 8])
    theirs.inputs.add(name="x", datatype="FP64", shape=[1]).parameters["content_type"].string_param = "np"
    ours = ModelInferRequest.FromString(theirs.SerializeToString())
    assert ours.inputs[0].parameters["content_type"].string_param == "np"
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)
