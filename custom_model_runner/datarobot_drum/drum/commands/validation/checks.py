"""The checks of a structured model. Each yields results; none raises for errors of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from datarobot_drum.drum.commands.progress import OnProgress
from datarobot_drum.drum.commands.validation.comparison import compare
from datarobot_drum.drum.commands.validation.model_under_test import ModelUnderTest
from datarobot_drum.drum.commands.validation.results import CheckResult, Status, describe_error
from datarobot_drum.drum.commands.validation.sample_rows import input_rows
from datarobot_drum.drum.commands.validation.subsets import Subset, subsets
from datarobot_drum.drum.exceptions import RequestError
from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.serving.formats.predictions_json import predictions_response
from datarobot_drum.drum.settings.target_types import TargetType

MISSING_ROWS = 100
LOCATED_ROWS = 50

SAME, CLOSE = 1e-9, 1e-5
"""Relative tolerances: of repeated calls with the same rows, and of calls with other rows in the batch, where 32-bit
models may sum in another order.
"""

_FREE_TEXT = (TargetType.TEXT_GENERATION, TargetType.AGENTIC_WORKFLOW)
OUTPUT, _DETERMINISM, _SINGLE, _ORDER, _MISSING = (
    "output format",
    "determinism",
    "batch equals single rows",
    "row order",
    "missing values",
)


@dataclass(frozen=True)
class Check:
    """A check: its name in the table, and a function that takes the predictions of all samples."""

    name: str
    run: Callable[[ModelUnderTest, Predictions, OnProgress], Iterator[CheckResult]]


def check_structured(model: ModelUnderTest, on_progress: OnProgress) -> Iterator[CheckResult]:
    """Run all checks; skip them if the model cannot predict the samples."""
    try:
        predictions = model.predict(model.samples)
        predictions_response(predictions, model.settings.target_type)
    except RequestError as error:
        yield _output_failure(model, error)
        yield from (_skipped(check.name, "the samples could not be predicted") for check in CHECKS)
        return
    yield CheckResult(OUTPUT, Status.PASSED, _describe(predictions))
    for check in CHECKS:
        yield from check.run(model, predictions, on_progress)


def _output_failure(model: ModelUnderTest, error: RequestError) -> CheckResult:
    """Return the failed result, with the rows that also fail alone, if any."""
    failing = [
        position for position in range(min(model.rows or 0, LOCATED_ROWS)) if _fails(model, model.take([position]))
    ]
    caption = "Rows that fail alone, too" if failing else "The first rows; none of them fails alone"
    positions = failing or range(min(model.rows or 0, 3))
    return CheckResult(
        OUTPUT, Status.FAILED, describe_error(error), sample_rows=input_rows(model.samples, positions, caption)
    )


def _fails(model: ModelUnderTest, samples: Any) -> bool:
    try:
        model.predict(samples)
    except RequestError:
        return True
    return False


def _describe(predictions: Predictions) -> str:
    extra = [] if predictions.extra is None else list(predictions.extra.columns)
    columns = ", ".join([*predictions.columns, *(f"{name} (extra)" for name in extra)])
    absent = int(pd.isna(predictions.values).any(axis=1).sum())
    gaps = f"; {absent} of them missing, which clients get as null" if absent else ""
    return f"{len(predictions.values)} rows of {columns}{gaps}"


def _check_determinism(
    model: ModelUnderTest, predictions: Predictions, on_progress: OnProgress
) -> Iterator[CheckResult]:
    if model.settings.target_type in _FREE_TEXT:
        yield _skipped(_DETERMINISM, "generated text may differ from call to call")
        return
    try:
        again = model.predict(model.samples)
    except RequestError as error:
        yield CheckResult(
            _DETERMINISM, Status.FAILED, f"The second call with the same rows failed: {describe_error(error)}"
        )
        return
    yield compare(_DETERMINISM, model.samples, predictions, again, ("first call", "second call"), SAME)


def _check_single_rows(
    model: ModelUnderTest, predictions: Predictions, on_progress: OnProgress
) -> Iterator[CheckResult]:
    if reason := _inseparable(model):
        yield _skipped(_SINGLE, reason)
        return
    results: list[CheckResult] = []
    for subset in subsets(model):
        results.append(_check_subset(model, predictions, subset))
        if results[-1].status is Status.FAILED:
            yield results[-1]
            return
    details = dict.fromkeys(result.detail for result in results)
    yield CheckResult(_SINGLE, Status.PASSED, "; ".join(details))


def _check_subset(model: ModelUnderTest, predictions: Predictions, subset: Subset) -> CheckResult:
    values: list[np.ndarray] = []
    positions = [position for batch in subset.batches for position in batch]
    try:
        for batch in subset.batches:
            values.append(subset.predict(batch).values)  # noqa: PERF401  # an error keeps the previous ones
    except RequestError as error:
        failing = subset.batches[len(values)]
        shown = input_rows(model.samples, failing, "The rows that fail")
        detail = f"{subset.name_rows(failing)} failed: {describe_error(error)}"
        return CheckResult(_SINGLE, Status.FAILED, detail, sample_rows=shown)
    together = Predictions(predictions.columns, predictions.values[positions])
    apart = Predictions(predictions.columns, np.concatenate(values))
    if together.values.shape != apart.values.shape:
        detail = f"{len(positions)} rows have {len(apart.values)} predictions {subset.name}{subset.advice}"
        return CheckResult(_SINGLE, Status.FAILED, detail)
    samples = model.take(positions)
    result = compare(_SINGLE, samples, together, apart, ("in a batch", subset.name), CLOSE, numbers=positions)
    failed = result.status is Status.FAILED
    return replace(result, detail=result.detail + subset.advice) if failed else result


def _check_row_order(model: ModelUnderTest, predictions: Predictions, on_progress: OnProgress) -> Iterator[CheckResult]:
    if reason := _inseparable(model):
        yield _skipped(_ORDER, reason)
        return
    order = np.random.default_rng(seed=0).permutation(model.rows or 0)
    try:
        shuffled = model.predict(model.take(order.tolist()))
    except RequestError as error:
        detail = f"The same rows in another order failed: {describe_error(error)}"
        yield CheckResult(_ORDER, Status.FAILED, detail)
        return
    values = np.empty_like(shuffled.values)
    values[order] = shuffled.values
    back = Predictions(shuffled.columns, values)
    yield compare(_ORDER, model.samples, predictions, back, ("in order", "shuffled"), CLOSE)


def _check_missing_values(
    model: ModelUnderTest, predictions: Predictions, on_progress: OnProgress
) -> Iterator[CheckResult]:
    frame = model.frame
    if frame is None:
        yield _skipped(_MISSING, "the samples are no table with cells to leave empty")
        return
    frame = frame.iloc[:MISSING_ROWS].reset_index(drop=True)
    for position, name in enumerate(frame.columns):
        yield _check_missing(model, frame, position, str(name))
        on_progress(_MISSING, (position + 1) / len(frame.columns))


def _check_missing(model: ModelUnderTest, frame: pd.DataFrame, position: int, name: str) -> CheckResult:
    for where, positions in (("all rows", range(len(frame))), ("one row", range(1))):
        samples = _without(frame, position, positions)
        try:
            predictions = model.predict(samples)
            predictions_response(predictions, model.settings.target_type)
        except RequestError as error:
            caption = f"Rows with {name} missing"
            detail = f"Missing in {where}: {describe_error(error)}"
            return CheckResult(_MISSING, Status.FAILED, detail, name, input_rows(samples, list(positions)[:3], caption))
    return CheckResult(_MISSING, Status.PASSED, feature=name)


def _without(frame: pd.DataFrame, position: int, rows: range) -> pd.DataFrame:
    """Empty a column in some rows, with the type that a csv with these gaps has: a wholly empty one is numeric."""
    column = frame.iloc[:, position]
    is_all = len(rows) == len(frame) and not isinstance(column.dtype, pd.CategoricalDtype)
    gaps = pd.Series(np.nan, index=frame.index) if is_all else column.where(frame.index >= len(rows))
    changed = frame.copy()
    changed.isetitem(position, gaps)
    return changed


CHECKS = (
    Check(_DETERMINISM, _check_determinism),
    Check(_SINGLE, _check_single_rows),
    Check(_ORDER, _check_row_order),
    Check(_MISSING, _check_missing_values),
)


def _inseparable(model: ModelUnderTest) -> str:
    if model.settings.target_type in _FREE_TEXT:
        return "generated text may differ from call to call"
    return "" if model.rows is not None else "the model reads the input itself, so its rows cannot be taken apart"


def _skipped(name: str, reason: str) -> CheckResult:
    return CheckResult(name, Status.SKIPPED, reason)
