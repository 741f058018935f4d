"""Concatenate the samples of several requests into one table for one model call."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from datarobot_drum.drum.tabular.numeric_table import NumericTable


def concat_key(data: Any) -> Hashable | None:
    """Return a key that only samples with the same kind, columns and types share; None if they are not batchable.

    A numeric table with a fraction is one float array, so the key does not contain its integer columns.
    """
    if isinstance(data, NumericTable):
        return NumericTable, data.names, data.cells.dtype.char
    if type(data) is not pd.DataFrame or not len(data) or not _is_default_index(data.index):
        return None
    return pd.DataFrame, tuple(data.columns), tuple(data.dtypes)


def concat(tables: Sequence[Any]) -> Any:
    """Return the rows of all tables, which share a key, in order. The result is a copy and may be changed."""
    first = tables[0]
    if isinstance(first, NumericTable):
        cells = np.concatenate([table.cells for table in tables], axis=1)
        integer_columns = tuple(all(flags) for flags in zip(*(table.integer_columns for table in tables), strict=True))
        has_missing = any(table.has_missing for table in tables)
        return NumericTable(first.names, cells, integer_columns, has_missing)
    return pd.concat(tables, ignore_index=True)


def count_rows(data: Any) -> int:
    """Return the number of rows of samples that have a ``concat_key``."""
    return int(data.shape[0])


def _is_default_index(index: pd.Index) -> bool:
    """Return True for row labels 0, 1, 2 ...; other labels would be lost."""
    return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None
