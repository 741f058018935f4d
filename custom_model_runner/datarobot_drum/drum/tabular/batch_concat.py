"""Samples of several requests as one table, so that a model can be asked once for all of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from datarobot_drum.drum.tabular.numeric_table import NumericTable


def concat_key(data: Any) -> Hashable | None:
    """What samples must have in common to be joined: kind, columns and types; None for what is never joined.

    Tables of plain numbers that hold a fraction are one float array for the estimator, so it does not matter which of
    their columns happen to be whole.
    """
    if isinstance(data, NumericTable):
        return NumericTable, data.names, data.cells.dtype.char
    if type(data) is not pd.DataFrame or not len(data) or not _is_default_index(data.index):
        return None
    return pd.DataFrame, tuple(data.columns), tuple(data.dtypes)


def concat(tables: Sequence[Any]) -> Any:
    """The rows of all tables, which share a key, in order; always a copy, so whoever changes it changes no table."""
    first = tables[0]
    if isinstance(first, NumericTable):
        cells = np.concatenate([table.cells for table in tables], axis=1)
        integer_columns = tuple(all(flags) for flags in zip(*(table.integer_columns for table in tables), strict=True))
        has_missing = any(table.has_missing for table in tables)
        return NumericTable(first.names, cells, integer_columns, has_missing)
    return pd.concat(tables, ignore_index=True)


def count_rows(data: Any) -> int:
    """Of what ``concat_key`` has a key for."""
    return int(data.shape[0])


def _is_default_index(index: pd.Index) -> bool:
    """Whether the rows have no names but their numbers: others would be lost."""
    return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None
