"""Reorder a framework's output into one value column or one column per class label. Values are never changed.

A framework's module wraps its model in a function from samples to an array; ``bind_numbers`` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from datarobot_drum.drum.artifact_predictors.base import ArtifactOutput
from datarobot_drum.drum.exceptions import ModelLoadError, PredictionError
from datarobot_drum.drum.settings.target_types import TargetType

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings


@dataclass(frozen=True)
class BoundModel:
    """A model as a function of the samples, the labels of its output, and the function that reorders the output."""

    call: Callable[[Any], Any]
    labels: tuple[str, ...]
    reorder: Callable[[Any], np.ndarray]
    accepts_numeric_table: bool = False

    def predict(self, data: Any) -> ArtifactOutput:
        return ArtifactOutput(self.reorder(self.call(data)), self.labels)


def bind_numbers(
    call: Callable[[Any], Any], settings: ModelSettings, order: tuple[int, ...] | None = None
) -> BoundModel:
    """Bind a function that returns numbers: one per sample, or one column per class.

    Args:
        call: from a table or sparse matrix to an array; the lone column of a binary model is the positive label's.
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
    return BoundModel(call, (), one_column)


def require_column_count(found: int, settings: ModelSettings) -> None:
    """Require as many output columns as the target needs.

    Raises:
        ModelLoadError: the number of columns does not fit the declared labels.
    """
    labels, target_type = settings.class_labels, settings.target_type
    wanted = len(labels) if target_type.has_class_labels else 1
    if found == wanted or (target_type is TargetType.BINARY and found == 1):
        return
    if target_type.has_class_labels:
        raise ModelLoadError(f"The model predicts {found} columns but {wanted} class labels are declared.")
    raise ModelLoadError(f"The model predicts {found} values a row; {target_type.value} models predict one.")


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
    """A function that puts class columns in the order of the labels; a lone column is the positive label's."""

    labels: tuple[str, ...]
    target_type: TargetType
    order: tuple[int, ...] | None = None

    def __call__(self, output: Any) -> np.ndarray:
        values = np.asarray(output)
        values = values.reshape(-1, 1) if values.ndim == 1 else values
        if self.target_type is TargetType.BINARY and values.shape[1:] == (1,):
            positive = np.asarray(values, dtype=np.float64)
            return np.hstack([1.0 - positive, positive])
        if values.shape[1:] != (len(self.labels),):
            raise PredictionError(
                f"The model returned an array of shape {values.shape} for {len(self.labels)} class labels."
            )
        return values if self.order is None else values[:, list(self.order)]
