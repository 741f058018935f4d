"""Compare the outputs of the original and of its compiled form."""

from __future__ import annotations

from typing import Any

import numpy as np

CLOSE = 1e-9
"""Largest relative difference with ``DRUM_COMPILE=close``."""


def is_equal(expected: Any, found: Any, *, exact: bool) -> bool:
    """Return True for outputs of the same types, shapes and numbers; of the same bits if ``exact``."""
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(expected) == len(found)
            and all(is_equal(one, other, exact=exact) for one, other in zip(expected, found, strict=True))
        )
    if not (isinstance(expected, np.ndarray) and isinstance(found, np.ndarray)):
        return False
    if expected.dtype != found.dtype or expected.shape != found.shape or expected.dtype.kind != "f":
        return False
    if exact:
        return _same_bits(expected, found)
    return bool(np.allclose(found, expected, rtol=CLOSE, atol=0.0, equal_nan=True))


def largest_difference(expected: Any, found: Any) -> float:
    """Return the largest difference of two numbers; infinite if the outputs are not comparable."""
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return max(largest_difference(one, other) for one, other in zip(expected, found, strict=True))
    first, second = np.asarray(expected), np.asarray(found)
    if first.shape != second.shape or first.dtype.kind != "f" or second.dtype.kind != "f":
        return float("inf")
    with np.errstate(invalid="ignore"):
        differences = np.abs(first.astype(np.float64) - second.astype(np.float64))
    return float(np.nanmax(differences, initial=0.0))


def _same_bits(expected: np.ndarray, found: np.ndarray) -> bool:
    first, second = np.ascontiguousarray(expected), np.ascontiguousarray(found)
    unsigned = np.dtype(f"u{first.dtype.itemsize}")
    differs = first.view(unsigned) != second.view(unsigned)
    return not differs.any() or bool(np.isnan(first[differs]).all() and np.isnan(second[differs]).all())
