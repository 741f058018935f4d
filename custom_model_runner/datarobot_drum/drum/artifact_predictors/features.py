"""What of the samples an estimator is handed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import pandas as pd

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.tabular.plain_numbers import NumericTable

SHOWN_COLUMNS = 10


def select_features(estimator: Any, data: Any) -> Any:
    """The columns that the estimator was trained on, in their order; all of the table if it does not say.

    Sparse tables become CSR matrices: estimators would make a frame of sparse columns dense.

    Raises:
        UnprocessableInput: the table lacks some of the columns.
    """
    if not isinstance(data, pd.DataFrame):
        return data
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and list(data.columns) != list(names) and data.columns.is_unique:
        data = data.iloc[:, find_places(list(data.columns), list(names))]
    return data.sparse.to_coo().tocsr() if is_sparse(data) else data


class NumericFeatures:
    """The same for tables of plain numbers: the work on names is done once for each header."""

    def __init__(self, names: Sequence[str] | None) -> None:
        self._names = None if names is None else tuple(names)
        self._find = lru_cache(maxsize=64)(self._find_places)

    def select(self, table: NumericTable) -> NumericTable:
        """The columns that the estimator was trained on, in their order.

        Raises:
            UnprocessableInput: the table lacks some of the columns.
        """
        if self._names is None or table.names == self._names:
            return table
        return table.select(self._find(table.names))

    def _find_places(self, columns: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(find_places(columns, self._names or ()))


def is_sparse(data: pd.DataFrame) -> bool:
    """Whether every column is of sparse type."""
    return bool(len(data.columns)) and all(isinstance(dtype, pd.SparseDtype) for dtype in data.dtypes)


def find_places(columns: Sequence[Any], names: Sequence[Any]) -> list[int]:
    """Where each of ``names`` stands among ``columns``, which are all different.

    Raises:
        UnprocessableInput: some are not among them.
    """
    places = {column: place for place, column in enumerate(columns)}
    missing = [str(name) for name in names if name not in places]
    if missing:
        shown = ", ".join(missing[:SHOWN_COLUMNS]) + (", ..." if len(missing) > SHOWN_COLUMNS else "")
        raise UnprocessableInput(f"The samples lack {len(missing)} of the {len(names)} columns of the model: {shown}.")
    return [places[name] for name in names]
