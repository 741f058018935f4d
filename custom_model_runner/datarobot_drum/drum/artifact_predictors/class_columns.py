"""Reorder a framework's output into columns of values or one column per class label. Values are never changed.

A framework's module wraps its model in a function from samples to an array; ``bind_numbers`` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from datarobot_drum.drum.artifact_predictors.base import ArtifactOutput
from datarobot_drum.drum.compiled_models.prediction_function import PredictionFunction
from datarobot_drum.drum.exceptions import ModelLoadError, PredictionError
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular.numeric_table import NumericTable

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings


@dataclass(frozen=True)
class BoundModel:
    """A model as a function of the samples, the labels of its output, and the function that reorders the output."""

    call: Callable[[Any], Any]
    labels: tuple[str, ...]
    reorder: Callable[[Any], np.ndarray]

    @property
    def function(self) -> PredictionFunction | None:
        """The function, if it may be compiled."""
        return self.call if isinstance(self.call, PredictionFunction) else None

    @property
    def accepts_numeric_table(self) -> bool:
        return self.function is not None and self.function.is_compiled

    def predict(self, data: Any) -> ArtifactOutput:
        return ArtifactOutput(self.reorder(self._call(data)), self.labels)

    def _call(self, data: Any) -> Any:
        if self.function is not None and isinstance(data, NumericTable):
            return self.function(data.to_array(), data.to_frame)
        return self.call(data)


def bind_numbers(
    call: Callable[[Any], Any], settings: ModelSettings, order: tuple[int, ...] | None = None
) -> BoundModel:
    """Bind a function that returns numbers: one per sample, or one column per class.

    Args:
        call: from a table or sparse matrix to an array; the lone column of a binary model is the second class's,
            which is the positive label's without an order.
        order: the column of each declared label; None if the columns are in the order of the labels.

    Raises:
        ModelLoadError: the target type has no numeric predictions.
    """
    target_type = settings.target_type
    if target_type.has_class_labels:
        return BoundModel(call, settings.class_labels, ClassColumns(settings.class_labels, target_type, order))
    if target_type not in (TargetType.REGRESSION, TargetType.ANOMALY):
        raise ModelLoadError(
            f"This artifact predicts numbers, and {target_type.value} models do not: add a score hook to custom.py."
        )
    return BoundModel(call, (), value_columns if target_type is TargetType.REGRESSION else one_column)


def require_column_count(found: int, settings: ModelSettings) -> None:
    """Require as many output columns as the target needs.

    Raises:
        ModelLoadError: the number of columns does not fit the declared labels.
    """
    labels, target_type = settings.class_labels, settings.target_type
    if not target_type.has_class_labels:
        require_target_count(found, settings)
    elif found != len(labels) and not (target_type is TargetType.BINARY and found == 1):
        other = TargetType.BINARY if found == 1 else TargetType.MULTICLASS if target_type is TargetType.BINARY else None
        advice = f": give --target-type {other.value}" if other and (found > 1 or len(labels) == 2) else ""
        raise ModelLoadError(f"The model predicts {found} columns but {len(labels)} class labels are declared{advice}.")


def require_target_count(found: int | None, settings: ModelSettings) -> None:
    """Require one value a row, or as many as a regression model declares; None is an unknown number.

    Raises:
        ModelLoadError: the number of values differs.
    """
    declared = settings.target_names
    if found is None or (settings.target_type is TargetType.REGRESSION and found == (len(declared) or found)):
        return
    if declared:
        raise ModelLoadError(f"The model predicts {found} values a row, but targetNames has {len(declared)} names.")
    if found != 1:
        raise ModelLoadError(
            f"The model predicts {found} values a row; {settings.target_type.value} models predict one."
        )


def value_columns(output: Any) -> np.ndarray:
    """Return an output of one or several values per sample with a column per value."""
    values = np.asarray(output)
    if values.ndim == 1:
        return values.reshape(-1, 1)
    if values.ndim != 2 or not values.shape[1]:
        raise PredictionError(f"The model must return numbers for each row, not an array of shape {values.shape}.")
    return values


def column_names(output: Any) -> tuple[str, ...]:
    """Return the column names of a DataFrame with several columns; empty for anything else."""
    if type(output) is np.ndarray:
        return ()
    columns = getattr(output, "columns", None)
    return tuple(map(str, columns)) if columns is not None and len(columns) > 1 else ()


def one_column(output: Any) -> np.ndarray:
    """Return an output of one value per sample as one column."""
    values = np.asarray(output)
    if values.ndim == 1:
        return values.reshape(-1, 1)
    if values.ndim != 2 or values.shape[1] != 1:
        raise PredictionError(f"The model must return one value a row, not an array of shape {values.shape}.")
    return values


@dataclass(frozen=True)
class ClassColumns:
    """A function that puts class columns in the order of the labels; a lone column is the second class's."""

    labels: tuple[str, ...]
    target_type: TargetType
    order: tuple[int, ...] | None = None

    def __call__(self, output: Any) -> np.ndarray:
        values = np.asarray(output)
        values = values.reshape(-1, 1) if values.ndim == 1 else values
        if self.target_type is TargetType.BINARY and values.shape[1:] == (1,):
            second = np.asarray(values, dtype=np.float64)
            values = np.hstack([1.0 - second, second])
        if values.shape[1:] != (len(self.labels),):
            raise PredictionError(
                f"The model returned an array of shape {values.shape} for {len(self.labels)} class labels."
            )
        return values if self.order is None else values[:, list(self.order)]
