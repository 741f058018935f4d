"""Parse and validate the type schema in model-metadata.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datarobot_drum.drum.exceptions import TypeSchemaError
from datarobot_drum.drum.input_schema.columns import ANY, NUMBER, TEXT, Column, ColumnType
from datarobot_drum.drum.settings.model_metadata import FILE_NAME
from datarobot_drum.drum.type_schema.constants import (
    CONDITIONS,
    IDENTITY,
    INPUT_VALUES,
    LIST_CONDITIONS,
    OUTPUT_VALUES,
    Condition,
    DataType,
    Field,
)

KEY = "typeSchema"
SECTIONS = {"input_requirements": INPUT_VALUES, "output_requirements": OUTPUT_VALUES}
_COLUMN_TYPES = {
    DataType.TXT.value: TEXT,
    DataType.NUM.value: NUMBER,
    DataType.DATE.value: Column(ColumnType.DATE),
}
_KEYS = ("field", "condition", "value")


@dataclass(frozen=True)
class Requirement:
    """A requirement of the schema. ``values`` are texts, or integers for ``number_of_columns``."""

    field: Field
    condition: Condition
    values: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.field.value} {self.condition.value} {', '.join(map(str, self.values))}"

    @property
    def compares_with_input(self) -> bool:
        return IDENTITY in self.values


@dataclass(frozen=True)
class TypeSchema:
    """Requirements on input and output. With ``is_strict``, a violation fails the request, else it is logged."""

    input: tuple[Requirement, ...]
    output: tuple[Requirement, ...]
    is_strict: bool = True

    @property
    def type_of_all_columns(self) -> Column:
        """The type of every input column if the schema allows one kind only: text, numbers or dates."""
        for requirement in self.input:
            is_one = requirement.condition in (Condition.EQUALS, Condition.IN) and len(requirement.values) == 1
            if requirement.field is Field.DATA_TYPES and is_one:
                kind = _COLUMN_TYPES.get(requirement.values[0], ANY)
                # A schema that is not strict rejects no cell.
                return kind if self.is_strict or kind is TEXT else ANY
        return ANY

    @property
    def compares_with_input(self) -> bool:
        return any(requirement.compares_with_input for requirement in self.output)


def read_type_schema(metadata: Mapping[str, Any] | None, *, is_strict: bool) -> TypeSchema | None:
    """Read the schema of a document; None without a schema or without requirements.

    Raises:
        TypeSchemaError: the schema is malformed; the message names the item.
    """
    document = (metadata or {}).get(KEY)
    if document is None:
        return None
    if not isinstance(document, Mapping):
        raise TypeSchemaError(f"{KEY} in {FILE_NAME} must be a mapping with {' and '.join(SECTIONS)}.")
    unknown = [str(key) for key in document if key not in SECTIONS]
    if unknown:
        raise TypeSchemaError(f"{KEY} in {FILE_NAME} has the unknown key {unknown[0]!r}: {_one_of(SECTIONS)}.")
    input_requirements, output_requirements = (_section(document, name) for name in SECTIONS)
    schema = TypeSchema(input_requirements, output_requirements, is_strict)
    return schema if schema.input or schema.output else None


def _section(document: Mapping[str, Any], name: str) -> tuple[Requirement, ...]:
    items = document.get(name)
    if items is None:
        return ()
    if not isinstance(items, list):
        raise TypeSchemaError(f"{KEY}.{name} in {FILE_NAME} must be a list of requirements.")
    return tuple(_Item(f"{name}[{position}]", name, item).read() for position, item in enumerate(items))


@dataclass(frozen=True)
class _Item:
    """An item of a section, with its position in the document."""

    position: str
    section: str
    item: Any

    def read(self) -> Requirement:
        if not isinstance(self.item, Mapping) or set(self.item) != set(_KEYS):
            raise self._item_error(f"must be a mapping of {', '.join(_KEYS)}")
        field = Field(self._choose("field", [known.value for known in Field]))
        condition = Condition(self._choose("condition", [known.value for known in CONDITIONS[field]]))
        return Requirement(field, condition, self._values(field, condition))

    def _choose(self, key: str, known: list[str]) -> str:
        word = self.item[key]
        if word not in known:
            raise self._item_error(f"has the {key} {word!r}: {_one_of(known)}")
        return str(word)

    def _values(self, field: Field, condition: Condition) -> tuple[Any, ...]:
        output_requirements = self.item["value"]
        values = tuple(output_requirements) if isinstance(output_requirements, list) else (output_requirements,)
        takes_list = condition in LIST_CONDITIONS and field in (Field.DATA_TYPES, Field.NUMBER_OF_COLUMNS)
        if not values or (len(values) > 1 and not takes_list):
            raise self._item_error(f"must have one value for {field.value} {condition.value}")
        for value in values:
            self._check(field, value)
        if IDENTITY in values and (len(values) > 1 or condition is not Condition.EQUALS):
            raise self._item_error(f"may have {IDENTITY} alone, with {Condition.EQUALS.value}")
        return values

    def _check(self, field: Field, value: Any) -> None:
        if field is not Field.NUMBER_OF_COLUMNS:
            known = SECTIONS[self.section][field]
            if value not in known:
                raise self._item_error(f"has the value {value!r}: {_one_of(known)}")
        elif not (type(value) is int and value >= 0) and not (value == IDENTITY and self._is_output):
            raise self._item_error(f"has the value {value!r}: number_of_columns takes whole numbers")

    @property
    def _is_output(self) -> bool:
        return self.section == "output_requirements"

    def _item_error(self, reason: str) -> TypeSchemaError:
        return TypeSchemaError(f"{KEY}.{self.position} in {FILE_NAME} {reason}.")


def _one_of(words: Any) -> str:
    return f"use {', '.join(words)}"
