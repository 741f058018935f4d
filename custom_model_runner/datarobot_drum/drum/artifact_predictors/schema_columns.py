"""The columns that the parts of a fitted scikit-learn object take, and how the demands of several parts are merged."""

from __future__ import annotations

import datetime as dt
from collections import UserList
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from datarobot_drum.drum.input_schema.columns import ANY, Column, ColumnType
from datarobot_drum.drum.tabular.lazy_pandas import pd

UNUSED = Column(is_required=False, rejects_missing=False)

_PRECEDENCE = (
    ColumnType.CATEGORY,
    ColumnType.TEXT,
    ColumnType.DATE,
    ColumnType.BOOLEAN,
    ColumnType.NUMBER,
    ColumnType.ANY,
)
"""Of two parts that take the same column, the one that is more exact decides its type."""


@dataclass(frozen=True, eq=False)
class Taken:
    """Columns that a part takes; None if their number is not known.

    With ``is_series``, the part takes its only column as a Series.
    """

    columns: tuple[Column, ...] | None = None
    names: Sequence[str] | None = None
    is_series: bool = False

    def named(self, names: Iterable[Any] | None) -> Taken:
        return replace(self, names=None if names is None else tuple(names))

    def of_width(self, width: int, *, at_least: bool = False) -> tuple[Column, ...]:
        """Return ``width`` columns, all alike if their number is another."""
        if self.columns is not None and (len(self.columns) == width or (at_least and len(self.columns) > width)):
            return self.columns[:width]
        return (self.common,) * width

    def slice(self, positions: slice | None) -> Taken:
        """Return the columns at some positions, of unknown number but one type if the positions are not known."""
        if self.columns is None or positions is None or positions.stop > len(self.columns):
            return self.uniform()
        return Taken(self.columns[positions])

    def uniform(self) -> Taken:
        """Return the type that all columns have, if any, for any number of columns."""
        return Taken((self.common,)) if self.common is not ANY else Taken()

    @property
    def common(self) -> Column:
        """The type of all columns if all are numbers, else any."""
        columns = self.columns or ()
        if columns and all(column.type is ColumnType.NUMBER for column in columns):
            return Column(ColumnType.NUMBER, rejects_missing=any(column.rejects_missing for column in columns))
        return ANY


def merge(one: Column, other: Column) -> Column:
    """Return what satisfies both demands on a column."""
    first, second = sorted((one, other), key=lambda column: _PRECEDENCE.index(column.type))
    allowed = [column.allowed for column in (one, other) if column.allowed is not None]
    return replace(
        first,
        fill=first.fill if second.type is not first.type or first.fill is not None else second.fill,
        allowed=frozenset.intersection(*allowed) if allowed else None,
        is_required=one.is_required or other.is_required,
        missing_is_none=one.missing_is_none or other.missing_is_none,
        rejects_missing=one.rejects_missing or other.rejects_missing,
    )


def merge_all(parts: Sequence[Taken]) -> Taken:
    """Return the columns that satisfy all parts, which receive the same columns."""
    known = [part.columns for part in parts if part.columns is not None]
    names = next((part.names for part in parts if part.names is not None), None)
    if not known or len({len(columns) for columns in known}) > 1:
        return Taken(None, names)
    columns = tuple(reduce(merge, same) for same in zip(*known, strict=True))
    return Taken(columns, names, any(part.is_series for part in parts))


def category_column(categories: Any, rejects_unknown: bool) -> Column:
    """Return the column of an encoder that has learned these categories."""
    values = np.asarray(categories)
    known = [value for value in values.tolist() if not _is_missing(value)]
    has_none = any(value is None for value in values.tolist())
    has_nan = len(known) < len(values) - has_none
    has_missing = len(known) < len(values)
    return replace(
        _column_of(values, known),
        # A csv shows empty text as an empty cell.
        fill="" if "" in known and not has_missing else None,
        missing_is_none=has_none and not has_nan,
        allowed=frozenset(_listed(values, known)) if rejects_unknown else None,
        rejects_missing=not has_missing,
    )


def _column_of(values: np.ndarray, known: list[Any]) -> Column:
    if values.dtype.kind in "mM":
        return Column(ColumnType.DATE, dtype=values.dtype)
    if not known:
        return Column(ColumnType.NUMBER if values.dtype.kind == "f" else ColumnType.TEXT)
    first, *others = [_column_of_value(value) for value in known]
    if values.dtype == object and first.type is ColumnType.NUMBER:
        first = replace(first, dtype=object)  # scikit-learn does not compare numbers with objects
    return first if all(column.type is first.type for column in others) else ANY


def _column_of_value(value: Any) -> Column:
    kind = _kind_of(value)
    return Column(kind, dtype=_date_type(value)) if kind is ColumnType.DATE else Column(kind)


def _kind_of(value: Any) -> ColumnType:
    if isinstance(value, str):
        return ColumnType.TEXT
    if isinstance(value, bool | np.bool_):
        return ColumnType.BOOLEAN
    if isinstance(value, int | float | np.number):
        return ColumnType.NUMBER
    return ColumnType.DATE if isinstance(value, dt.date) else ColumnType.ANY


def _date_type(value: Any) -> Any:
    """Return the type of the column in which dates are objects: Timestamps with a time zone, or plain dates."""
    return pd.Series([value]).dtype if isinstance(value, dt.datetime) else dt.date


def _listed(values: np.ndarray, known: list[Any]) -> list[Any]:
    """Return the categories as the cells of a converted column compare with them; a missing one is None."""
    cells = pd.Series(values).dropna().tolist() if values.dtype.kind in "mM" else known
    return cells if len(known) == len(values) else [*cells, None]


def imputed_column(imputer: Any, statistic: Any, following: Column) -> Column:
    """Return the column that an imputer takes, whose missing cells become ``statistic``."""
    marker = imputer.missing_values
    is_marked_by_text = isinstance(marker, str)
    own = ANY if _is_missing(statistic) else _column_of_value(statistic)
    is_number = imputer.strategy in ("mean", "median") or imputer.statistics_.dtype.kind in "iuf"
    kind = Column(ColumnType.NUMBER) if is_number else merge(own, following)
    allowed = following.allowed
    return replace(
        kind,
        fill=marker if is_marked_by_text else None,
        allowed=None if allowed is None else allowed | {None},
        missing_is_none=marker is None,
        rejects_missing=False,
        is_required=True,
    )


def _is_missing(value: Any) -> bool:
    return value is None or value != value


def resolve_positions(selection: Any, names: Sequence[Any] | None, width: int) -> list[int]:
    """Return the positions of the columns that a ``ColumnTransformer`` selects."""
    known = [] if names is None else list(names)
    if isinstance(selection, str):
        return [known.index(selection)]
    if isinstance(selection, slice):
        bounds = [
            known.index(bound) if isinstance(bound, str) else bound for bound in (selection.start, selection.stop)
        ]
        # A slice of names has its last column, too.
        stop = bounds[1] + 1 if isinstance(selection.stop, str) else bounds[1]
        return list(range(width))[slice(bounds[0], stop, selection.step)]
    if isinstance(selection, int | np.integer) and not isinstance(selection, bool):
        return [int(selection) % width]
    items = list(selection.data if isinstance(selection, UserList) else selection)  # of scikit-learn 1.5 and 1.6
    if items and all(isinstance(item, bool | np.bool_) for item in items):
        return [position for position, is_selected in enumerate(items) if is_selected]
    return [known.index(item) if isinstance(item, str) else int(item) % width for item in items]
