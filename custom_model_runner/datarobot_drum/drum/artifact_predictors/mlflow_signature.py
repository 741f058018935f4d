"""The signature of a model of MLflow as an input schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactOutput
from datarobot_drum.drum.artifact_predictors.mlflow_folder import find_root, read_mlmodel
from datarobot_drum.drum.input_schema.columns import ANY, NUMBER, TEXT, Column, ColumnType, InputSchema
from datarobot_drum.drum.tabular.lazy_pandas import pd

_NUMBERS = frozenset({"integer", "long", "float", "double"})
_TENSOR_RANK = 2


@dataclass(frozen=True)
class Field:
    """A column or a tensor of a signature. ``type`` is MLflow's name, or that of NumPy for a tensor."""

    name: str | None
    type: str
    is_required: bool = True
    shape: tuple[int, ...] | None = None

    @property
    def column(self) -> Column:
        """The type of the column for the input schema."""
        if self.type in _NUMBERS or self.shape is not None:
            column = NUMBER
        elif self.type == "string":
            column = TEXT
        else:
            known = {"boolean": ColumnType.BOOLEAN, "datetime": ColumnType.DATE}
            column = Column(known[self.type]) if self.type in known else ANY
        return column if self.is_required else replace(column, is_required=False)


@dataclass(frozen=True)
class Signature:
    """The inputs and the outputs of a model, each empty if they are not known."""

    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()

    @property
    def tensor(self) -> Field | None:
        """The only input, if it is a tensor without a name."""
        is_single = len(self.inputs) == 1 and self.inputs[0].shape is not None and self.inputs[0].name is None
        return self.inputs[0] if is_single else None

    @property
    def returns_classes(self) -> bool:
        """True if the only output is a class rather than a probability."""
        if len(self.outputs) != 1:
            return False
        output = self.outputs[0]
        is_flat = output.shape is None or len(output.shape) == 1
        return is_flat and not output.type.startswith(("float", "double"))

    def input_schema(self) -> InputSchema:
        """Return the columns of the inputs."""
        tensor = self.tensor
        if tensor is not None:
            shape = tensor.shape or ()
            is_wide = len(shape) == _TENSOR_RANK and shape[1] > 0
            return InputSchema((NUMBER,) * shape[1] if is_wide else (), rest=NUMBER, accepts_missing=True)
        if any(item.name is None for item in self.inputs):
            return InputSchema(tuple(item.column for item in self.inputs), accepts_missing=True)
        names = tuple(str(item.name) for item in self.inputs)
        return InputSchema(tuple(item.column for item in self.inputs), names or None, accepts_missing=True)


def signature_beside(artifact: Path | None) -> Signature:
    """Return the signature that MLflow has stored beside an artifact; without inputs if there is none."""
    root = None if artifact is None else find_root(artifact)
    return Signature() if root is None else read_signature(read_mlmodel(root))


def read_signature(document: Mapping[str, Any]) -> Signature:
    """Return the signature in the content of ``MLmodel``; parts of an unknown form are left out."""
    found = document.get("signature")
    signature = found if isinstance(found, Mapping) else {}
    return Signature(_fields(signature.get("inputs")), _fields(signature.get("outputs")))


def complete_schema(own: InputSchema, signature: Signature) -> InputSchema:
    """Return the model's own columns, with names and types of the signature where the model does not know them."""
    stored = signature.input_schema()
    if not stored.columns or signature.tensor is not None or (own.names is None and _differs(own, stored)):
        return own
    if own.names is not None:
        known = dict(zip(stored.names or (), stored.columns, strict=False))
        named = zip(own.names, own.columns, strict=True)
        return replace(own, columns=tuple(_first_known(column, known.get(name, ANY)) for name, column in named))
    own_types = own.columns or (own.rest,) * len(stored.columns)
    columns = tuple(_first_known(mine, other) for mine, other in zip(own_types, stored.columns, strict=True))
    return replace(own, columns=columns, names=stored.names)


def select_by_name(model: ArtifactModel, own: InputSchema, schema: InputSchema) -> ArtifactModel:
    """Return a model that takes the columns by the names of the signature, if it does not know them itself."""
    return model if own.names is not None or schema.names is None else _PositionalModel(model)


@dataclass(frozen=True)
class _PositionalModel:
    """A model trained without column names, which gets the selected columns without theirs."""

    model: ArtifactModel
    accepts_numeric_table = False

    def predict(self, data: Any) -> ArtifactOutput:
        if isinstance(data, pd.DataFrame):
            data = data.set_axis(range(data.shape[1]), axis=1)
        return self.model.predict(data)


def _differs(own: InputSchema, stored: InputSchema) -> bool:
    return own.takes_series or own.width not in (None, stored.width)


def _first_known(own: Column, other: Column) -> Column:
    return other if own.type is ColumnType.ANY and own.is_required else own


def _fields(text: Any) -> tuple[Field, ...]:
    try:
        items = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return ()
    found = [_field(item) for item in items or () if isinstance(item, dict)] if isinstance(items, list) else []
    return tuple(field for field in found if field is not None)


def _field(item: Mapping[str, Any]) -> Field | None:
    name = item.get("name")
    name = None if name is None else str(name)
    spec = item.get("tensor-spec")
    if isinstance(spec, Mapping) and isinstance(spec.get("shape"), list):
        shape = tuple(size for size in spec["shape"] if isinstance(size, int))
        return Field(name, str(spec.get("dtype")), shape=shape)
    return Field(name, str(item.get("type")), item.get("required") is not False)
