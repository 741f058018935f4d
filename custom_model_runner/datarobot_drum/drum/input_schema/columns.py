"""The input schema: the columns of a model, in order, with their types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_CACHED_HEADERS = 64
_MAX_CACHED_NAMES = 2000


class ColumnType(str, Enum):
    """The type of a column. ``ANY`` is not known: ``pandas.read_csv`` infers it from the cells."""

    NUMBER = "number"
    TEXT = "text"
    CATEGORY = "category"
    BOOLEAN = "boolean"
    DATE = "date"
    ANY = "any"


@dataclass(frozen=True, eq=False)
class Column:
    """The type of a column.

    Args:
        categories: the values of a category column, in the order of their codes. Any other cell is missing.
        fill: the text that a missing cell of a text column becomes; None keeps it missing.
        dtype: the type of a date column in training, None for that of ``pandas.to_datetime``; the type of a boolean
            column with missing cells, None for objects; ``object`` for numbers that an encoder has as objects.
        is_required: False for a column that the model does not use; a request may omit it.
        missing_is_none: True if a missing cell is None in training, not NaN.
        allowed: the only values that the model accepts, if it fails on others; None accepts all.
        rejects_missing: False if the model takes missing cells. It only explains failures.
        note: why this type is uncertain, for the warning that asks the owner of the model to declare it.
        truncated: the known start and the length of text categories that the model stores cut off, by their codes.
        spellings: texts that stood in training for others, such as ``1`` for ``True``.
    """

    type: ColumnType = ColumnType.ANY
    categories: pd.Index | None = None
    fill: str | None = None
    dtype: Any = None
    is_required: bool = True
    missing_is_none: bool = False
    allowed: frozenset[Any] | None = None
    rejects_missing: bool = True
    note: str = ""
    truncated: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    spellings: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def has_text_categories(self) -> bool:
        """True if every category is text."""
        return self.categories is not None and all(isinstance(value, str) for value in self.categories)

    @property
    def is_numeric(self) -> bool:
        """True if the model takes the cells as numbers, or if their type is not known."""
        is_boolean_number = self.type is ColumnType.BOOLEAN and self.dtype is not None
        return is_boolean_number or self.type in (ColumnType.NUMBER, ColumnType.ANY)

    @property
    def is_read_as_text(self) -> bool:
        """True if the cells are read as they are written: the other cells then change none of them."""
        return self.type in (ColumnType.TEXT, ColumnType.DATE, ColumnType.CATEGORY)


ANY = Column()
NUMBER = Column(ColumnType.NUMBER)
TEXT = Column(ColumnType.TEXT)


@dataclass(frozen=True, eq=False)
class InputSchema:
    """The columns of a model.

    Args:
        columns: the columns in the order of the model; empty if the model does not know them.
        names: their names, by which they are selected; None selects by position.
        declared: types that the owner of the model declared, by name. They take precedence.
        rest: the type of all other columns, and of those that the model does not know.
        takes_series: True if the model takes its only column as a Series of texts, not as a table.
        accepts_missing: True if the model takes missing numbers.
    """

    columns: tuple[Column, ...] = ()
    names: tuple[str, ...] | None = None
    declared: Mapping[str, Column] = field(default_factory=dict)
    rest: Column = ANY
    takes_series: bool = False
    accepts_missing: bool = False

    @property
    def width(self) -> int | None:
        """The number of columns that the model takes; None if it is not known."""
        return len(self.columns) or None

    @cached_property
    def is_known(self) -> bool:
        """True if a table may have to be converted or selected from."""
        return bool(self.columns or self.declared) or self.rest is not ANY

    @cached_property
    def has_text(self) -> bool:
        """True if some columns are read as text."""
        return any(column.is_read_as_text for column in (*self.columns, *self.declared.values(), self.rest))

    @cached_property
    def is_numeric(self) -> bool:
        """True if every column that the model takes is a number, or not known."""
        known = (*self.columns, *self.declared.values(), self.rest)
        return all(column.type in (ColumnType.NUMBER, ColumnType.ANY) for column in known)

    @cached_property
    def has_plain_numbers(self) -> bool:
        """True if the model takes every column as floats or integers are, without a conversion."""
        known = (*self.columns, *self.declared.values(), self.rest)
        return self.is_numeric and not any(column.missing_is_none or column.dtype is not None for column in known)

    @property
    def declared_names(self) -> tuple[str, ...]:
        """The names that the owner of the model declared, in that order."""
        return tuple(self.declared)

    @property
    def unknown(self) -> tuple[str, ...]:
        """The names of the columns that the model uses, and whose type is not known."""
        if self.rest is not ANY:
            return ()
        return tuple(name for name, column in self._undeclared if column.type is ColumnType.ANY and column.is_required)

    @property
    def notes(self) -> tuple[str, ...]:
        """The names of the columns whose type is uncertain, with the reason."""
        return tuple(f"{name} ({column.note})" for name, column in self._undeclared if column.note)

    @property
    def _undeclared(self) -> list[tuple[str, Column]]:
        names = self.names or tuple(map(str, range(len(self.columns))))
        return [
            (name, column)
            for name, column in zip(names, self.columns, strict=True)
            if self.names is None or name not in self.declared
        ]

    def declare(self, declared: Mapping[str, Column], rest: Column = ANY) -> InputSchema:
        """Return this schema with the types that the owner of the model declared."""
        return replace(self, declared=declared, rest=rest if self.rest is ANY else self.rest)

    def resolve(self, names: Sequence[Any]) -> tuple[Column, ...]:
        """Return the types of the columns of a table, by name, or by position if the model has no names."""
        return self._resolve(tuple(names)) if len(names) <= _MAX_CACHED_NAMES else self._find_columns(tuple(names))

    def text_columns(self, names: Sequence[str]) -> tuple[int, ...]:
        """Return the positions of the columns of a table whose cells are read as text."""
        return tuple(position for position, column in enumerate(self.resolve(names)) if column.is_read_as_text)

    def number_columns(self, names: Sequence[str]) -> tuple[int, ...]:
        """Return the positions of the columns of a table whose texts stand for numbers or booleans."""
        kinds = (ColumnType.NUMBER, ColumnType.BOOLEAN)
        return tuple(position for position, column in enumerate(self.resolve(names)) if column.type in kinds)

    def names_of(self, width: int) -> tuple[str, ...] | None:
        """Return the names of the columns of rows without names; None if the model does not know them."""
        if self.names is not None:
            return self.names
        return tuple(self.declared) if len(self.declared) == width else None

    @cached_property
    def _resolve(self) -> Callable[[tuple[Any, ...]], tuple[Column, ...]]:
        return lru_cache(maxsize=_CACHED_HEADERS)(self._find_columns)

    def _find_columns(self, names: tuple[Any, ...]) -> tuple[Column, ...]:
        if self.names is None:
            own = self.columns if len(self.columns) == len(names) else (self.rest,) * len(names)
        else:
            known = dict(zip(self.names, self.columns, strict=True))
            own = tuple(known.get(name) or known.get(without_blanks(name)) or self.rest for name in names)
        return tuple(self._with_declared(str(name), column) for name, column in zip(names, own, strict=True))

    def _with_declared(self, name: str, own: Column) -> Column:
        """Return the declared column, or the model's own if the declaration adds nothing to it."""
        declared = self.declared.get(name) or (self.rest if own.type is ColumnType.ANY else own)
        is_same = declared.type in (own.type, ColumnType.ANY) and declared.categories is None and declared.fill is None
        # Categories that are declared without their values.
        is_category = own.type is ColumnType.CATEGORY and declared.type is ColumnType.TEXT
        if is_same or is_category:
            return own
        if own.type is ColumnType.NUMBER and declared.type is ColumnType.BOOLEAN:
            return replace(own, type=ColumnType.BOOLEAN, dtype=float)
        fill = own.fill if declared.fill is None and declared.type is ColumnType.TEXT else declared.fill
        return replace(declared, is_required=own.is_required, fill=fill)


def without_blanks(name: Any) -> str:
    """Return the name as LightGBM stores it."""
    return str(name).replace(" ", "_")
