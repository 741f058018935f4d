"""What of the samples an estimator is handed."""

from __future__ import annotations

from typing import Any

import pandas as pd

from datarobot_drum.drum.exceptions import UnprocessableInput

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
    if names is not None:
        data = _in_order(data, list(names))
    return data.sparse.to_coo().tocsr() if is_sparse(data) else data


def is_sparse(data: pd.DataFrame) -> bool:
    """Whether every column is of sparse type."""
    return bool(len(data.columns)) and all(isinstance(dtype, pd.SparseDtype) for dtype in data.dtypes)


def _in_order(data: pd.DataFrame, names: list[Any]) -> pd.DataFrame:
    if list(data.columns) == names or not data.columns.is_unique:
        return data
    known = set(data.columns)
    missing = [str(name) for name in names if name not in known]
    if missing:
        shown = ", ".join(missing[:SHOWN_COLUMNS]) + (", ..." if len(missing) > SHOWN_COLUMNS else "")
        raise UnprocessableInput(f"The samples lack {len(missing)} of the {len(names)} columns of the model: {shown}.")
    return data[names]
