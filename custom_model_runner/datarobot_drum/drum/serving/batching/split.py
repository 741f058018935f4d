"""Splitting the predictions of a batch by request, and comparing them with predictions made one by one."""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from numbers import Real
from typing import Any

import numpy as np

from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.language_predictors.json_values import encode, records

RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE = 1e-5, 1e-7
"""Linear algebra libraries sum in another order when they get more rows; single precision has 7 digits."""


def split(predictions: Predictions, rows: Sequence[int]) -> Iterator[Predictions | None]:
    """Yield the predictions of each request, given their numbers of rows; None for a share whose types are unknown.

    pandas makes a column of extra model output float if one number in it is a fraction or is missing. Whole numbers of
    another request in it could have been integers when predicted alone.
    """
    mixed_columns = [] if predictions.extra is None else list(_mixed_columns(predictions.extra))
    for end, count in zip(accumulate(rows), rows, strict=True):
        part = slice(end - count, end)
        if any(not _has_fraction(column[part]) for column in mixed_columns):
            yield None
            continue
        extra = None if predictions.extra is None else predictions.extra.iloc[part].reset_index(drop=True)
        yield Predictions(predictions.columns, predictions.values[part], extra)


def _mixed_columns(extra: Any) -> Iterator[np.ndarray]:
    """Yield the float columns that hold whole numbers and others."""
    for index, dtype in enumerate(extra.dtypes):
        if getattr(dtype, "kind", "") == "f":
            column = extra.iloc[:, index].to_numpy(dtype=np.float64, na_value=np.nan)
            if _is_whole(column).any() and not _is_whole(column).all():
                yield column


def _is_whole(column: np.ndarray) -> np.ndarray:
    whole: np.ndarray = np.isfinite(column) & (np.floor(column) == column)
    return whole


def _has_fraction(column: np.ndarray) -> bool:
    return bool((np.isfinite(column) & ~_is_whole(column)).any())


def predictions_equal(one: Predictions, other: Predictions) -> bool:
    """Return True if both are equal, numbers within the tolerance."""
    if one.columns != other.columns or one.values.shape != other.values.shape:
        return False
    return _same_values(one.values, other.values) and _same_records(_extra(one), _extra(other))


def _same_values(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype == other.dtype == np.float64:
        return bool(np.allclose(one, other, RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE, equal_nan=True))
    return all(map(_same_cell, one.ravel().tolist(), other.ravel().tolist()))


def _extra(predictions: Predictions) -> list[dict[str, Any]]:
    return [] if predictions.extra is None else records(predictions.extra)


def _same_records(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    return len(one) == len(other) and all(
        left.keys() == right.keys() and all(_same_cell(left[name], right[name]) for name in left)
        for left, right in zip(one, other, strict=True)
    )


def _same_cell(one: Any, other: Any) -> bool:
    if isinstance(one, Real) and isinstance(other, Real):
        return math.isclose(one, other, rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE)
    return encode(one) == encode(other)
