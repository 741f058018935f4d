"""Infer the column types of a csv that is read in blocks, as if it were read as a whole.

pandas infers the type of a column from all of its values. Within one block, a column may have integers only, and
missing values or text in the next. A model would receive types that it was not trained on. So the blocks are read
twice: first to infer the kind of each column, then with the resulting types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pandas as pd

from datarobot_drum.drum.tabular.missing_values import MISSING_VALUES

ColumnReader = Callable[[int], pd.Series]


class Kind(Enum):
    """The kind of values that a column has in one block."""

    INTEGER = "integers"
    UNSIGNED = "integers beyond 63 bits"
    FLOAT = "numbers"
    EMPTY = "missing values"
    BOOLEAN = "booleans"
    BOOLEAN_WITH_MISSING = "booleans and missing values"
    TEXT = "text"
    HUGE_INTEGER = "numbers beyond the range of numeric types"


class ColumnSpec(Enum):
    """The conversion of a column after a block is read."""

    AS_READ = "as read"
    AS_OBJECTS = "booleans in a column with missing values"
    AS_HUGE_INTEGERS = "text to integers"
    AS_RAW_TEXT = "text without missing values"


@dataclass(frozen=True)
class ColumnTypes:
    """Types and conversions of the columns, by name; pandas infers the type of a column in neither.

    ``base`` are the options that read text columns.
    """

    dtypes: Mapping[str, Any]
    specs: Mapping[str, ColumnSpec]
    base: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """Options of ``pandas.read_csv``."""
        written = [name for name, spec in self.specs.items() if spec is ColumnSpec.AS_RAW_TEXT]
        dtypes = {name: dtype for name, dtype in self.dtypes.items() if name not in written}
        dtypes |= self.base.get("dtype", {})
        return {**self.base, "dtype": dtypes, "converters": dict.fromkeys(written, _add_prefix)}

    def restore(self, block: pd.DataFrame) -> pd.DataFrame:
        """Convert a block to the types of the whole table."""
        for name, spec in self.specs.items():
            if spec is ColumnSpec.AS_OBJECTS:
                block[name] = block[name].astype(object)
            elif spec is ColumnSpec.AS_HUGE_INTEGERS:
                block[name] = block[name].astype(object).map(int, na_action="ignore").astype(object)
            elif spec is ColumnSpec.AS_RAW_TEXT:
                block[name] = block[name].str[1:].astype(self.dtypes[name])
        return block


@dataclass
class InferredTypes:
    """A collector of the kinds that each column has in the blocks, except text columns, whose type is given."""

    options: Mapping[str, Any] = field(default_factory=dict)
    kinds: dict[str, set[Kind]] = field(default_factory=dict)

    def add(self, block: pd.DataFrame) -> None:
        for name, column in block.items():
            self.kinds.setdefault(str(name), set()).add(_kind_of(column))

    def finalize(self, read_column: ColumnReader) -> ColumnTypes:
        """Return the types of the whole table; ``read_column`` reads a column whose kinds are ambiguous."""
        dtypes: dict[str, Any] = {}
        specs: dict[str, ColumnSpec] = {}
        for position, (name, kinds) in enumerate(self.kinds.items()):
            if name in self.options.get("dtype", {}):
                continue
            dtype, spec = _infer_column(kinds, lambda position=position: read_column(position))  # type: ignore[misc]
            if dtype is not None:
                dtypes[name] = dtype
            if spec is not ColumnSpec.AS_READ:
                specs[name] = spec
        return ColumnTypes(dtypes, specs, self.options)


def _add_prefix(text: str) -> str:
    """Prefix a cell, so that pandas reads it as text; ``restore`` removes the prefix."""
    return f"={text}"


def _kind_of(column: pd.Series) -> Kind:
    letter = column.dtype.kind
    if letter in "iub":
        return {"i": Kind.INTEGER, "u": Kind.UNSIGNED, "b": Kind.BOOLEAN}[letter]
    if letter == "f":
        return Kind.EMPTY if column.isna().all() else Kind.FLOAT
    content = pd.api.types.infer_dtype(column, skipna=True)
    if content == "boolean":
        return Kind.BOOLEAN_WITH_MISSING
    return Kind.HUGE_INTEGER if content == "integer" or _is_digits(column) else Kind.TEXT


def _is_digits(column: pd.Series) -> bool:
    """Return True for a text column of numbers, which fit no numeric type. The first value decides for most columns.

    In such columns pandas may leave texts for missing values as text, too.
    """
    values = column.dropna()
    if values.iloc[:1].isin(MISSING_VALUES).any():
        values = values[~values.isin(MISSING_VALUES)]
    if pd.isna(pd.to_numeric(values.iloc[:1], errors="coerce")).any():
        return False
    return bool(pd.to_numeric(values[~values.isin(MISSING_VALUES)], errors="coerce").notna().all())


def _infer_column(kinds: set[Kind], read_column: Callable[[], pd.Series]) -> tuple[Any, ColumnSpec]:
    booleans = {Kind.BOOLEAN, Kind.BOOLEAN_WITH_MISSING}
    if Kind.HUGE_INTEGER in kinds or (Kind.UNSIGNED in kinds and len(kinds) > 1):
        return _infer_huge_column(read_column())
    if len(kinds) == 1:
        return None, ColumnSpec.AS_READ
    if Kind.TEXT in kinds or (kinds & booleans and kinds - booleans - {Kind.EMPTY}):
        return str, ColumnSpec.AS_READ
    if kinds & booleans:
        return None, ColumnSpec.AS_OBJECTS
    return "float64", ColumnSpec.AS_READ


def _infer_huge_column(column: pd.Series) -> tuple[Any, ColumnSpec]:
    """Infer from the whole column: beyond 63 bits the type depends on the other cells and on the pandas version."""
    if column.dtype.kind in "uf":
        return column.dtype, ColumnSpec.AS_READ
    if pd.api.types.infer_dtype(column, skipna=True) == "integer":
        return str, ColumnSpec.AS_HUGE_INTEGERS
    return column.dtype, ColumnSpec.AS_READ if column.isna().any() else ColumnSpec.AS_RAW_TEXT
