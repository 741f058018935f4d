"""The keywords of a type schema."""

from enum import Enum


class Field(str, Enum):
    """The property of a table that a requirement refers to."""

    DATA_TYPES = "data_types"
    SPARSE = "sparse"
    NUMBER_OF_COLUMNS = "number_of_columns"
    CONTAINS_MISSING = "contains_missing"


class Condition(str, Enum):
    EQUALS = "EQUALS"
    NOT_EQUALS = "NOT_EQUALS"
    IN = "IN"
    NOT_IN = "NOT_IN"
    LESS_THAN = "LESS_THAN"
    NOT_LESS_THAN = "NOT_LESS_THAN"
    GREATER_THAN = "GREATER_THAN"
    NOT_GREATER_THAN = "NOT_GREATER_THAN"


class DataType(str, Enum):
    """The kinds of columns."""

    NUM = "NUM"
    CAT = "CAT"
    TXT = "TXT"
    IMG = "IMG"
    DATE = "DATE"
    DATE_DURATION = "DATE_DURATION"


class Presence(str, Enum):
    """Values for ``sparse`` and ``contains_missing``; the last four apply to output."""

    SUPPORTED = "SUPPORTED"
    REQUIRED = "REQUIRED"
    FORBIDDEN = "FORBIDDEN"
    ALWAYS = "ALWAYS"
    NEVER = "NEVER"
    DYNAMIC = "DYNAMIC"
    IDENTITY = "IDENTITY"


IDENTITY = Presence.IDENTITY.value
"""The same as in the input."""

CONDITIONS = {
    Field.DATA_TYPES: (Condition.EQUALS, Condition.NOT_EQUALS, Condition.IN, Condition.NOT_IN),
    Field.SPARSE: (Condition.EQUALS,),
    Field.NUMBER_OF_COLUMNS: tuple(Condition),
    Field.CONTAINS_MISSING: (Condition.EQUALS,),
}

LIST_CONDITIONS = (Condition.EQUALS, Condition.IN, Condition.NOT_IN)
"""Conditions that accept several values."""

INPUT_VALUES = {
    Field.DATA_TYPES: tuple(kind.value for kind in DataType),
    Field.SPARSE: (Presence.SUPPORTED.value, Presence.REQUIRED.value, Presence.FORBIDDEN.value),
    Field.CONTAINS_MISSING: (Presence.SUPPORTED.value, Presence.FORBIDDEN.value),
}
OUTPUT_VALUES = {
    Field.DATA_TYPES: (*INPUT_VALUES[Field.DATA_TYPES], IDENTITY),
    Field.SPARSE: (Presence.NEVER.value, Presence.ALWAYS.value, Presence.DYNAMIC.value, IDENTITY),
    Field.CONTAINS_MISSING: (Presence.NEVER.value, Presence.DYNAMIC.value, IDENTITY),
}
