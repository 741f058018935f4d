"""Check tables against the requirements of a schema."""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable, Collection, Iterable
from typing import Any

from datarobot_drum.drum.exceptions import DrumError, InputSchemaError, OutputSchemaError
from datarobot_drum.drum.tabular.column_hints import quote_names
from datarobot_drum.drum.type_schema.constants import IDENTITY, Condition, DataType, Field, Presence
from datarobot_drum.drum.type_schema.requirements import KEY, Requirement, TypeSchema
from datarobot_drum.drum.type_schema.tables import Table, to_table

logger = logging.getLogger(__name__)

_COMPARISONS: dict[Condition, Callable[[int, int], bool]] = {
    Condition.LESS_THAN: operator.lt,
    Condition.NOT_LESS_THAN: operator.ge,
    Condition.GREATER_THAN: operator.gt,
    Condition.NOT_GREATER_THAN: operator.le,
    Condition.NOT_EQUALS: operator.ne,
}


def check_input(schema: TypeSchema, data: Any, text: Collection[int] = ()) -> None:
    """Check samples; objects of a hook that are no table are not checked.

    Args:
        text: the columns that were read as text.

    Raises:
        InputSchemaError: a requirement is not met; the message names it, and the column or number at fault.
    """
    table = to_table(data, text=text)
    if table is not None:
        _check(schema, schema.input, table, None, "The input", InputSchemaError)


def input_stats(schema: TypeSchema, data: Any) -> InputStats | None:
    """Compute what ``IDENTITY`` compares the output with, before hooks may change the samples in place."""
    table = to_table(data) if schema.compares_with_input else None
    return None if table is None else InputStats(table)


class InputStats:
    """The properties of the input that ``IDENTITY`` refers to."""

    def __init__(self, table: Table) -> None:
        self.width = table.width
        self.is_sparse = table.is_sparse
        self.has_missing = table.first_missing() is not None
        self.kinds = frozenset[DataType]().union(*(table.kinds(position) for position in range(table.width)))


def check_output(schema: TypeSchema, stats: InputStats | None, data: Any, names: tuple[str, ...]) -> None:
    """Check transformed samples or predictions; the columns of an array are called ``names``.

    Raises:
        OutputSchemaError: as ``check_input``.
    """
    table = to_table(data, names)
    if table is not None:
        _check(schema, schema.output, table, stats, "The model's output", OutputSchemaError)


def _check(
    schema: TypeSchema,
    requirements: Iterable[Requirement],
    table: Table,
    stats: InputStats | None,
    what: str,
    error: Callable[[str], DrumError],
) -> None:
    for requirement in requirements:
        reason = _FIELDS[requirement.field](requirement, table, stats)
        if reason is None:
            continue
        message = f"{what} breaks {KEY}: {requirement} is required, but {reason}."
        if schema.is_strict:
            raise error(message)
        logger.warning("%s", message)


def _data_types(requirement: Requirement, table: Table, stats: InputStats | None) -> str | None:
    if requirement.compares_with_input:
        allowed = None if stats is None else stats.kinds
    elif requirement.condition in (Condition.NOT_IN, Condition.NOT_EQUALS):
        return _unwanted_type(_types(requirement), table)
    else:
        allowed = _types(requirement)
    if allowed is None:
        return None
    found = [table.kinds(position) for position in range(table.width)]
    for position, kinds in enumerate(found):
        if not kinds & allowed:
            return f"the column {quote_names([table.name(position)])} is {_format_kinds(kinds)}"
    if requirement.condition is Condition.EQUALS and len(requirement.values) > 1:
        absent = [kind.value for kind in allowed if not any(kind in kinds for kinds in found)]
        return f"no column is {sorted(absent)[0]}" if absent else None
    return None


def _unwanted_type(unwanted: frozenset[DataType], table: Table) -> str | None:
    """Return the reason if a column has an unwanted kind; numbers count as NUM only, not as CAT."""
    for position in range(table.width):
        kinds = table.kinds(position)
        if kinds == {DataType.NUM, DataType.CAT}:
            kinds = frozenset({DataType.NUM})
        if kinds <= unwanted:
            return f"the column {quote_names([table.name(position)])} is {_format_kinds(kinds)}"
    return None


def _types(requirement: Requirement) -> frozenset[DataType]:
    return frozenset(DataType(value) for value in requirement.values)


def _format_kinds(kinds: frozenset[DataType]) -> str:
    return " or ".join(kind.value for kind in DataType if kind in kinds)


def _number_of_columns(requirement: Requirement, table: Table, stats: InputStats | None) -> str | None:
    expected = requirement.values
    if requirement.compares_with_input:
        if stats is None:
            return None
        expected = (stats.width,)
    if _number_fits(requirement.condition, table.width, expected):
        return None
    suffix = f" for {expected[0]} in the input" if requirement.compares_with_input else ""
    return f"there are {table.width}{suffix}"


def _number_fits(condition: Condition, width: int, expected: tuple[int, ...]) -> bool:
    if condition in (Condition.EQUALS, Condition.IN):
        return width in expected
    if condition is Condition.NOT_IN:
        return width not in expected
    return _COMPARISONS[condition](width, expected[0])


def _sparse(requirement: Requirement, table: Table, stats: InputStats | None) -> str | None:
    value = requirement.values[0]
    found = "it is sparse" if table.is_sparse else "it is dense"
    if value == IDENTITY:
        if stats is None or stats.is_sparse == table.is_sparse:
            return None
        return f"{found} and the input is not"
    must_be = {Presence.REQUIRED: True, Presence.ALWAYS: True, Presence.FORBIDDEN: False, Presence.NEVER: False}
    return found if must_be.get(Presence(value), table.is_sparse) != table.is_sparse else None


def _contains_missing(requirement: Requirement, table: Table, stats: InputStats | None) -> str | None:
    value = requirement.values[0]
    if value in (Presence.SUPPORTED, Presence.DYNAMIC):
        return None
    if value == IDENTITY and (stats is None or stats.has_missing):
        return None
    first_missing = table.first_missing()
    if first_missing is None:
        return None
    row, position = first_missing
    suffix = ", and the input has none" if value == IDENTITY else ""
    return f"the column {quote_names([table.name(position)])} has a missing value in row {row + 1}{suffix}"


_FIELDS: dict[Field, Callable[[Requirement, Table, InputStats | None], str | None]] = {
    Field.DATA_TYPES: _data_types,
    Field.SPARSE: _sparse,
    Field.NUMBER_OF_COLUMNS: _number_of_columns,
    Field.CONTAINS_MISSING: _contains_missing,
}
