"""Requests and responses of the protocol, as HTTP and gRPC share them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from datarobot_drum.drum.exceptions import BadRequest
from datarobot_drum.drum.serving.v2.datatypes import DATATYPES

MAX_SHOWN_NAME = 100


@dataclass(frozen=True, eq=False)
class TensorHead:
    """The description of a tensor, without its cells."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.datatype not in DATATYPES:
            known = ", ".join(DATATYPES)
            raise BadRequest(f"The input {self.shown} has the datatype {self.datatype[:20]!r}: use one of {known}.")
        if any(size < 0 for size in self.shape):
            raise BadRequest(f"The input {self.shown} has the shape {list(self.shape)}: no size may be negative.")

    @property
    def shown(self) -> str:
        """The name as messages show it."""
        return repr(self.name[:MAX_SHOWN_NAME])

    @property
    def size(self) -> int:
        """The number of cells."""
        return math.prod(self.shape)

    def require_size(self, count: int) -> None:
        """Require ``count`` cells.

        Raises:
            BadRequest: the shape has another number.
        """
        if count != self.size:
            raise BadRequest(
                f"The input {self.shown} has {count} values, and its shape {list(self.shape)} has {self.size}."
            )


@dataclass(frozen=True, eq=False)
class InputTensor:
    """An input with its cells, row by row.

    ``cells`` has a type of a table, or objects where ``datatype`` is BYTES or some cells are missing (None).
    """

    head: TensorHead
    cells: np.ndarray


@dataclass(frozen=True)
class RequestedOutput:
    """An output that the client asks for. ``binary`` is its own wish; None leaves it to the request."""

    name: str
    binary: bool | None = None


@dataclass(frozen=True, eq=False)
class InferenceRequest:
    """The inputs of a prediction. Without requested ``outputs``, the client gets all."""

    inputs: tuple[InputTensor, ...]
    id: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[RequestedOutput, ...] = ()


@dataclass(frozen=True, eq=False)
class OutputTensor:
    """An output. ``cells`` are those of its datatype, or texts for BYTES, with None for a missing one."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    cells: np.ndarray
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class InferenceResponse:
    """The outputs of a prediction."""

    model_name: str
    model_version: str
    outputs: tuple[OutputTensor, ...]
    id: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TensorMetadata:
    """The description of an input or output. A size of -1 varies."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ModelMetadata:
    """The description of a model."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    properties: Mapping[str, str] = field(default_factory=dict)


def require_unique_names(inputs: tuple[InputTensor, ...]) -> None:
    """Require that no two inputs have the same name.

    Raises:
        BadRequest: two have.
    """
    names: set[str] = set()
    for tensor in inputs:
        if tensor.head.name in names:
            raise BadRequest(f"There are two inputs of the name {tensor.head.shown}: send each column once.")
        names.add(tensor.head.name)
