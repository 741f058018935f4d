"""Columns of a training table, and generated rows that a client may send for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from tests.input_schema.properties import train_target

TRAINING_ROWS = 400
MAX_ROWS = 4
MISSING_SHARE = 0.1

NUMBERS = ("0", "1", "2", "2.5", "-3", "0.1", "1e5", "12345678901", "NA", "nan", "")
WHOLE_NUMBERS = ("0", "1", "2", "3", "")
BOOLEANS = ("True", "False", "true", "FALSE", "")


@dataclass(frozen=True)
class Feature:
    """A column: ``values`` of the training, and other ``cells`` that a client may send.

    ``kind`` is the type in training: text, integer, float, boolean (those are categories), number or flag.
    """

    name: str
    kind: str
    values: tuple[Any, ...]
    cells: tuple[str, ...] = ("",)
    may_miss: bool = True

    def to_value(self, cell: str) -> Any:
        """Return the cell as it would have been in the training table; None for a missing cell."""
        if self.kind == "text":
            return cell or None
        if self.kind in ("boolean", "flag"):
            return {"true": True, "false": False}.get(cell.lower())
        if self.kind == "integer" and cell.isdigit():
            return int(cell)
        try:
            number = float(cell)
        except ValueError:
            return None
        if np.isnan(number):
            return None
        return int(number) if self.kind == "integer" and number.is_integer() else number

    def strategy(self) -> st.SearchStrategy[str]:
        return st.sampled_from([*map(str, self.values), *self.cells])


def training_table(features: Sequence[Feature], seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a table of objects, without types, and its target."""
    random = np.random.default_rng(seed)
    columns = {}
    for feature in features:
        chosen = [feature.values[index] for index in random.integers(0, len(feature.values), TRAINING_ROWS)]
        if feature.may_miss:
            gaps = random.random(TRAINING_ROWS) < MISSING_SHARE
            chosen = [None if gap else value for value, gap in zip(chosen, gaps, strict=True)]
        columns[feature.name] = pd.Series(chosen, dtype=object)
    table = pd.DataFrame(columns)
    return table, train_target([table[name] for name in table.columns])


def rows_of(features: Sequence[Feature]) -> st.SearchStrategy[pd.DataFrame]:
    """Generate the cells of csv rows, with the columns in any order and one more."""
    names = [feature.name for feature in features]
    row = st.tuples(*(feature.strategy() for feature in features))
    orders = st.permutations([*names, "more"])
    return st.builds(_to_cells, st.just(names), st.lists(row, min_size=1, max_size=MAX_ROWS), orders)


def _to_cells(names: list[str], rows: list[tuple[str, ...]], order: list[str]) -> pd.DataFrame:
    cells = pd.DataFrame(rows, columns=names, dtype=object).assign(more="x")
    return cells[order]


def to_values(features: Sequence[Feature], cells: pd.DataFrame) -> pd.DataFrame:
    """Return the rows as objects of the types in training, in the order of training."""
    columns = {
        feature.name: pd.Series([feature.to_value(cell) for cell in cells[feature.name]], dtype=object)
        for feature in features
    }
    return pd.DataFrame(columns)


def to_typed(features: Sequence[Feature], cells: pd.DataFrame) -> pd.DataFrame:
    """Return the rows as a Parquet file has them: typed columns with missing cells, in the order of the csv."""
    values = to_values(features, cells)
    columns = {feature.name: _typed_column(feature, values[feature.name]) for feature in features}
    return pd.DataFrame(columns).assign(more="x")[list(cells.columns)]


def _typed_column(feature: Feature, values: pd.Series) -> pd.Series:
    if feature.kind in ("boolean", "flag"):
        return values.astype("boolean")
    if feature.kind == "text":
        return values.astype("string")
    is_whole = feature.kind == "integer" and not any(isinstance(value, float) for value in values)
    return values.astype("Int64" if is_whole else "Float64")
