"""``--expected``: compare the predictions of all rows with numbers or labels made elsewhere, such as in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datarobot_drum.drum.artifact_predictors.label_matching import format_labels, match_labels
from datarobot_drum.drum.commands.input_file import InputFile, opened_input, table_input
from datarobot_drum.drum.commands.progress import OnProgress
from datarobot_drum.drum.commands.score.structured import score_rows
from datarobot_drum.drum.commands.validation.comparison import compare
from datarobot_drum.drum.commands.validation.model_under_test import ModelUnderTest
from datarobot_drum.drum.commands.validation.results import CheckResult, Status, describe_error
from datarobot_drum.drum.exceptions import CommandError, RequestError, UsageError
from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular.column_hints import quote_names
from datarobot_drum.drum.tabular.table_files import FileFormat, detect_format, open_table

EXPECTED = "expected predictions"
DEFAULT_TOLERANCE = 1e-6
TIE = 1e-9
"""Relative difference of probabilities that count as equal."""

_NAMES = ("expected", "predicted")


@dataclass(frozen=True)
class Expected:
    """The file of ``--expected`` and the relative tolerance."""

    path: Path
    tolerance: float


def expected_predictions(arguments: Arguments, target_type: TargetType) -> Expected | None:
    """Return the file to compare with; None without one.

    Raises:
        UsageError: the path is not a file, the tolerance is negative or without a file, or there are no rows.
    """
    if not arguments.expected:
        if arguments.tolerance is not None:
            raise UsageError("--tolerance is that of --expected, which is missing.")
        return None
    if target_type is TargetType.UNSTRUCTURED:
        raise UsageError("--expected compares rows: an unstructured model has none.")
    path = Path(arguments.expected).absolute()
    if not path.exists() or path.is_dir():
        raise UsageError(f"--expected {arguments.expected} is not a file.")
    tolerance = DEFAULT_TOLERANCE if arguments.tolerance is None else arguments.tolerance
    if tolerance < 0:
        raise UsageError(f"--tolerance {tolerance:g} must not be negative.")
    return Expected(path, tolerance)


def check_expected(
    model: ModelUnderTest, source: InputFile, expected: Expected, on_progress: OnProgress
) -> CheckResult:
    """Compare the predictions of all rows of the input with the expected ones.

    Raises:
        RequestError, CommandError, UsageError: the expected predictions cannot be read.
    """
    wanted = _read(expected.path, on_progress)
    try:
        predictions = _predict(model, source, on_progress)
    except RequestError as error:
        return CheckResult(EXPECTED, Status.FAILED, describe_error(error))
    except CommandError as error:
        return CheckResult(EXPECTED, Status.FAILED, str(error))
    if len(wanted) != len(predictions.values):
        detail = f"{expected.path.name} has {len(wanted)} rows, the input has {len(predictions.values)}"
        return CheckResult(EXPECTED, Status.FAILED, detail)
    try:
        pair = _matched(wanted, predictions, model.settings)
    except CommandError as error:
        return CheckResult(EXPECTED, Status.FAILED, str(error))
    if pair is None:
        return CheckResult(EXPECTED, Status.FAILED, _no_match(expected.path, wanted, predictions))
    first, second = pair
    samples = model.samples if len(second.values) <= (model.rows or 0) else None
    return compare(EXPECTED, samples, first, second, _NAMES, expected.tolerance)


def _read(path: Path, on_progress: OnProgress) -> pd.DataFrame:
    with opened_input(path) as packed, table_input(packed) as source:
        kind = detect_format(source.file, source.path)
        if kind is FileFormat.MTX:
            raise UsageError(f"--expected {path} must be csv, Parquet or Arrow.")
        blocks = list(open_table(source.file, kind, "utf-8", on_progress).blocks())
    return pd.concat(blocks, ignore_index=True).rename(columns=str)


def _predict(model: ModelUnderTest, source: InputFile, on_progress: OnProgress) -> Predictions:
    chunks = list(score_rows(model.predictor, source, "utf-8", on_progress))
    blocks = [chunk for chunk in chunks if isinstance(chunk, Predictions)]
    if len(blocks) < len(chunks):
        raise CommandError("The hook score_stream yields text: only rows can be compared.")
    return Predictions(blocks[0].columns, np.concatenate([block.values for block in blocks]))


def _matched(
    wanted: pd.DataFrame, predictions: Predictions, settings: ModelSettings
) -> tuple[Predictions, Predictions] | None:
    """Return the columns to compare, of both; None if they do not match.

    Columns are matched by name, a classifier's else by the labels in a column or as probabilities of the positive
    class, those of other models else by position.
    """
    names = match_labels(predictions.columns, list(wanted.columns))
    if names:
        shared = [name for name in predictions.columns if name in names]
        return _select(wanted, [names[name] for name in shared], predictions, shared)
    wanted = _without_row_numbers(wanted)
    if settings.target_type.is_classification and (pair := _match_labels(wanted, predictions)) is not None:
        return pair
    if settings.positive_class_label and len(wanted.columns) == 1:
        return _select(wanted, [0], predictions, [settings.positive_class_label])
    if settings.target_type.has_class_labels or len(wanted.columns) != len(predictions.columns):
        return None
    return _select(wanted, range(len(wanted.columns)), predictions, predictions.columns)


def _without_row_numbers(wanted: pd.DataFrame) -> pd.DataFrame:
    """Drop the first column if it is the index that ``to_csv`` writes."""
    first = wanted.iloc[:, 0]
    is_index = (
        len(wanted.columns) > 1 and wanted.columns[0] == "Unnamed: 0" and first.tolist() == list(range(len(first)))
    )
    return wanted.iloc[:, 1:] if is_index else wanted


def _match_labels(wanted: pd.DataFrame, predictions: Predictions) -> tuple[Predictions, Predictions] | None:
    """Return the only column of class labels, and the most probable labels; None without such a column."""
    columns = [_as_labels(column, predictions.columns) for _, column in wanted.items()]
    found = [labels for labels in columns if labels is not None]
    if len(found) != 1:
        return None
    positions = np.array([predictions.columns.index(label) for label in found[0].flat])
    rows = np.arange(len(positions))
    best = predictions.values.argmax(axis=1)
    is_best = np.isclose(predictions.values[rows, positions], predictions.values[rows, best], rtol=TIE)
    chosen = np.where(is_best, positions, best)  # of equal probabilities, either label is right
    labels = np.array(predictions.columns, dtype=object)[chosen].reshape(-1, 1)
    return Predictions(("label",), found[0]), Predictions(("label",), labels)


def _as_labels(column: pd.Series, labels: Sequence[str]) -> np.ndarray | None:
    """Return a column as declared labels; None if it holds other values."""
    values = list(column.unique())
    matches = match_labels(labels, values)
    if len(matches) < len(values):
        return None
    names = {values[position]: label for label, position in matches.items()}
    found: np.ndarray = column.map(names).to_numpy(dtype=object).reshape(-1, 1)
    return found


def _select(
    wanted: pd.DataFrame, positions: Sequence[int], predictions: Predictions, names: Sequence[str]
) -> tuple[Predictions, Predictions]:
    """Return columns of both as floats, or as text if the model predicts text.

    Raises:
        CommandError: an expected cell is no number.
    """
    table = wanted.iloc[:, list(positions)]
    predicted = predictions.values[:, [predictions.columns.index(name) for name in names]]
    if predicted.dtype.kind != "f":
        expected: Any = table.astype(str).to_numpy(dtype=object)
        return Predictions(tuple(names), expected), Predictions(tuple(names), predicted.astype(str).astype(object))
    numbers = table.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.argwhere(np.isnan(numbers) & table.notna().to_numpy())
    if len(wrong):
        row, column = wrong[0]
        cell = quote_names([str(table.iat[row, column])])
        raise CommandError(f"Row {row + 1} of the column {table.columns[column]} is {cell}, which is no number")
    return Predictions(tuple(names), numbers), Predictions(tuple(names), predicted)


def _no_match(path: Path, wanted: pd.DataFrame, predictions: Predictions) -> str:
    return (
        f"{path.name} has the columns {quote_names(list(wanted.columns))}: name its columns as the model's "
        f"({format_labels(predictions.columns)})"
    )
