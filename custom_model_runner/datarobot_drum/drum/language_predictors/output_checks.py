"""Check what a model returned, and convert it to ``Predictions``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from datarobot_drum.drum.artifact_predictors.label_matching import as_label, format_labels, match_labels
from datarobot_drum.drum.exceptions import PredictionError
from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.settings.build import VALUE_COLUMN
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular.lazy_pandas import pd

if TYPE_CHECKING:
    from datarobot_drum.drum.artifact_predictors.base import ArtifactOutput
    from datarobot_drum.drum.settings.build import ModelSettings

SUM_TOLERANCE = 0.01
_ROUNDING = 1e-5
"""What a probability may exceed 0 and 1 by: sums of single precision do."""


def check_artifact_output(output: ArtifactOutput, settings: ModelSettings, rows: int | None) -> Predictions:
    """Check the output of an artifact, whose columns are in the order of the labels already.

    Raises:
        PredictionError: the output is invalid; the message says what is wrong and where.
    """
    _check_row_count(len(output.values), rows, "The model")
    columns = _columns_of(output, settings)
    values = _to_values(output.values, columns, settings, "The model")
    return _to_predictions(columns, values, settings, "The model", tolerance=_tolerance(output.values))


def to_frame(output: ArtifactOutput, settings: ModelSettings) -> pd.DataFrame:
    """Convert the output of an artifact to the frame that a ``score`` hook would return."""
    return pd.DataFrame(output.values, columns=list(_columns_of(output, settings)))


def _columns_of(output: ArtifactOutput, settings: ModelSettings) -> tuple[str, ...]:
    """Return the labels or names of the output; several unnamed targets have the declared names, or are numbered."""
    count = output.values.shape[1]
    if settings.target_type.has_class_labels or count == 1:
        return output.classes or (settings.value_name,)
    declared = settings.target_names
    if declared and len(declared) != count:
        raise PredictionError(f"The model returned {count} values a row, but targetNames has {len(declared)} names.")
    base = settings.target_name or VALUE_COLUMN
    return declared or output.classes or tuple(f"{base}_{number}" for number in range(count))


def check_frame(
    frame: pd.DataFrame, settings: ModelSettings, rows: int | None, hook: str, targets: Sequence[str] = ()
) -> Predictions:
    """Check the DataFrame of a hook. Columns keep their order; other columns become extra model output.

    Args:
        targets: the names of several targets of the model, where the settings declare none.

    Raises:
        PredictionError: the frame is invalid; the message says what is wrong and where.
    """
    source = f"The hook {hook}"
    _check_row_count(len(frame), rows, source)
    _check_column_names(frame, source)
    columns: tuple[str, ...] = settings.target_names or tuple(targets)
    if settings.target_type.has_class_labels:
        columns, positions, values = _class_values(frame, settings, source)
    elif columns:
        positions = _find_target_columns(frame, columns, source)
        values = _to_values(frame.iloc[:, positions], columns, settings, source)
    else:
        position = _find_value_column(frame, settings, source)
        columns, positions = (settings.value_name,), [position]
        values = _to_values(frame.iloc[:, [position]], columns, settings, source)
    tolerance = max((_tolerance(frame.iloc[:, position]) for position in positions), default=_ROUNDING)
    return _to_predictions(columns, values, settings, source, _extra(frame, positions), tolerance=tolerance)


def _tolerance(values: Any) -> float:
    """Return the rounding error of probabilities, which is larger in half precision."""
    return 2e-3 if values.dtype == np.float16 else _ROUNDING


def _find_target_columns(frame: pd.DataFrame, targets: Sequence[str], source: str) -> list[int]:
    names = [as_label(name) for name in frame.columns]
    missing = [target for target in targets if target not in names]
    if missing:
        raise PredictionError(
            f"{source} returned no column for the target {format_labels(missing)}; its columns are "
            f"{format_labels(names)}."
        )
    return [names.index(target) for target in targets]


def _check_row_count(found: int, expected: int | None, source: str) -> None:
    if expected is not None and found != expected:
        raise PredictionError(f"{source} returned {found} rows of predictions for {expected} rows of input.")


def _check_column_names(frame: pd.DataFrame, source: str) -> None:
    counts = Counter(as_label(name) for name in frame.columns)
    if not counts:
        raise PredictionError(f"{source} returned a DataFrame without columns.")
    duplicates = [name for name, count in counts.items() if count > 1]
    if duplicates:
        raise PredictionError(f"{source} returned more than one column of the name {format_labels(duplicates)}.")


def _find_value_column(frame: pd.DataFrame, settings: ModelSettings, source: str) -> int:
    """Return the position of the prediction: the only column, or the one with the expected name."""
    names = [as_label(name) for name in frame.columns]
    expected = [settings.value_name, settings.target_name]
    found = [name for name in expected if name in names]
    if found or len(names) == 1:
        return names.index(str(found[0])) if found else 0
    is_regression = settings.target_type is TargetType.REGRESSION
    advice = "; several targets are declared as targetNames in model-metadata.yaml" if is_regression else ""
    raise PredictionError(
        f"{source} returned the columns {format_labels(names)}: the predictions must be in one named "
        f"{expected[0]!r}{advice}."
    )


def _class_values(
    frame: pd.DataFrame, settings: ModelSettings, source: str
) -> tuple[tuple[str, ...], list[int], np.ndarray]:
    """Return labels, positions and values of the class columns, in the order of the frame."""
    matches = match_labels(settings.class_labels, list(frame.columns))
    if len(matches) == len(settings.class_labels):
        columns = tuple(sorted(matches, key=matches.__getitem__))
        positions = [matches[label] for label in columns]
        return columns, positions, _to_values(frame.iloc[:, positions], columns, settings, source)
    if settings.target_type is TargetType.BINARY:
        expanded = _expand_binary(frame, settings, matches, source)
        if expanded is not None:
            return expanded
    missing = [label for label in settings.class_labels if label not in matches]
    raise PredictionError(
        f"{source} returned no column for the class label {format_labels(missing)}; its columns are "
        f"{format_labels(frame.columns)}."
    )


def _expand_binary(
    frame: pd.DataFrame, settings: ModelSettings, matches: dict[str, int], source: str
) -> tuple[tuple[str, ...], list[int], np.ndarray] | None:
    """Compute both binary columns from one; a lone column of any other name is the positive class's."""
    negative, positive = settings.class_labels
    is_alone = len(frame.columns) == 1
    if positive not in matches and not is_alone:
        return None
    position = matches.get(positive, 0)
    given = _to_values(frame.iloc[:, [position]], (as_label(frame.columns[position]),), settings, source)
    pair = [given, 1.0 - given] if negative in matches else [1.0 - given, given]
    return (negative, positive), [position], np.hstack(pair)


def _extra(frame: pd.DataFrame, positions: Sequence[int]) -> pd.DataFrame | None:
    extra_positions = [position for position in range(len(frame.columns)) if position not in set(positions)]
    if not extra_positions:
        return None
    extra = frame.iloc[:, extra_positions].reset_index(drop=True)
    extra.columns = [as_label(name) for name in extra.columns]
    return extra


def _to_values(data: Any, columns: Sequence[str], settings: ModelSettings, source: str) -> np.ndarray:
    """Return a new array: objects for text-like targets, float64 for all others."""
    if settings.target_type.has_target_column:
        return _objects(data)
    if isinstance(data, np.ndarray) and data.dtype.kind in "biuf":
        return np.array(data, dtype=np.float64, order="C")
    frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
    values = np.empty(frame.shape, dtype=np.float64)
    for position, column in enumerate(columns):
        values[:, position] = _numbers(frame.iloc[:, position], column, source)
    return values


def _objects(data: Any) -> np.ndarray:
    """Return one column of Python objects, missing values as None."""
    series = data.iloc[:, 0] if isinstance(data, pd.DataFrame) else pd.Series(data[:, 0])
    values = np.empty((len(series), 1), dtype=object)
    values[:, 0] = series.astype(object).to_numpy()
    values[series.isna().to_numpy(), 0] = None
    return values


def _numbers(series: Any, column: str, source: str) -> Any:
    """Return a column as floats; missing values of any kind become NaN."""
    if pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_complex_dtype(series.dtype):
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    missing = series.isna().to_numpy()
    cells = series.astype(object).to_numpy()
    non_numeric = [
        cell for cell, is_missing in zip(cells, missing, strict=True) if not is_missing and not _is_number(cell)
    ]
    if non_numeric:
        raise PredictionError(f"{source} returned {non_numeric[0]!r:.60} in column {column!r}, which must be numeric.")
    try:
        return [np.nan if is_missing else float(cell) for cell, is_missing in zip(cells, missing, strict=True)]
    except OverflowError as error:
        raise PredictionError(f"{source} returned a number in column {column!r} that is too large.") from error


def _is_number(cell: Any) -> bool:
    return isinstance(cell, Real | Decimal | np.bool_)


def _to_predictions(
    columns: tuple[str, ...],
    values: np.ndarray,
    settings: ModelSettings,
    source: str,
    extra: pd.DataFrame | None = None,
    *,
    tolerance: float,
) -> Predictions:
    if settings.target_type.has_class_labels and values.size:
        _clip_to_range(columns, values, source, tolerance)
    if settings.target_type.is_classification:
        _check_sums(values, source, tolerance)
    return Predictions(columns, values, extra)


def _clip_to_range(columns: Sequence[str], values: np.ndarray, source: str, tolerance: float) -> None:
    """Require probabilities between 0 and 1, and set those beyond by a rounding error to 0 or 1; NaN is rejected."""
    if values.min() >= 0 and values.max() <= 1:
        return
    wrong = ~((values >= -tolerance) & (values <= 1 + tolerance))
    if wrong.any():
        row, position = np.argwhere(wrong)[0]
        raise PredictionError(
            f"{source} returned {values[row, position]} for the class label {columns[position]!r} in row {row + 1}: a "
            "probability lies between 0 and 1."
        )
    np.clip(values, 0.0, 1.0, out=values)


def _check_sums(values: np.ndarray, source: str, tolerance: float) -> None:
    sums = values.sum(axis=1)
    wrong = np.abs(sums - 1) > SUM_TOLERANCE + tolerance
    if wrong.any():
        row = int(np.argmax(wrong))
        raise PredictionError(
            f"{source} returned probabilities that sum to {sums[row]:.6g} in row {row + 1}: they must sum to 1."
        )
