"""Compare two sets of predictions of the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from datarobot_drum.drum.commands.validation.results import CheckResult, Status
from datarobot_drum.drum.commands.validation.sample_rows import cell_text, differing_rows, worst_output
from datarobot_drum.drum.language_predictors.base import Predictions


def compare(
    check: str,
    samples: Any,
    first: Predictions,
    second: Predictions,
    names: tuple[str, str],
    tolerance: float,
    *,
    numbers: Sequence[int] | None = None,
) -> CheckResult:
    """Return the result of a check that two sets of predictions are equal within a relative tolerance.

    Args:
        samples: the rows that were predicted.
        names: of the two sets, for the report.
        numbers: the position of each row in the input; by default they are all rows in order.
    """
    if first.columns != second.columns or first.values.shape != second.values.shape:
        detail = f"{names[0]}: {len(first.values)} rows of {', '.join(first.columns)}; {names[1]}: "
        return CheckResult(check, Status.FAILED, detail + f"{len(second.values)} rows of {', '.join(second.columns)}")
    positions = np.flatnonzero(_differs(first.values, second.values, tolerance).any(axis=1)).tolist()
    numbers = range(len(first.values)) if numbers is None else numbers
    if not positions:
        return CheckResult(check, Status.PASSED, f"{len(first.values)} rows{_describe_bits(first, second, numbers)}")
    output = worst_output(first.values[positions[0]], second.values[positions[0]])
    pair = (cell_text(values[positions[0], output]) for values in (first.values, second.values))
    shown = " and ".join(f"{value} {name}" for value, name in zip(pair, names, strict=True))
    detail = (
        f"{len(positions)} of {len(first.values)} rows differ, the first is row {numbers[positions[0]] + 1}: "
        f"{first.columns[output]} is {shown}"
    )
    rows = differing_rows(samples, first, second, positions, names, numbers)
    return CheckResult(check, Status.FAILED, detail, sample_rows=rows)


def _describe_bits(first: Predictions, second: Predictions, numbers: Sequence[int]) -> str:
    """Return the largest difference of equal numbers, after a comma; empty if they are equal to the last bit."""
    if first.values.dtype.kind != "f" or second.values.dtype.kind != "f":
        return ""
    difference = np.nan_to_num(np.abs(first.values - second.values)).max(axis=1, initial=0.0)
    row = int(difference.argmax()) if len(difference) else 0
    if not len(difference) or not difference[row]:
        return ""
    return f", not equal to the last bit: the largest difference is {difference[row]:.2g}, in row {numbers[row] + 1}"


def _differs(first: np.ndarray, second: np.ndarray, tolerance: float) -> np.ndarray:
    if first.dtype.kind == "f" and second.dtype.kind == "f":
        same: np.ndarray = np.isclose(first, second, rtol=tolerance, atol=tolerance * 1e-3, equal_nan=True)
        return ~same
    return np.array([_text_differs(a, b) for a, b in zip(first.flat, second.flat, strict=True)]).reshape(first.shape)


def _text_differs(first: Any, second: Any) -> bool:
    return not (first is second or first == second)
