"""How a framework's answer becomes one column, or one column a class label. Values are never touched.

A framework's module turns its model into a function from samples to an array, and leaves the rest to ``bind_numbers``.
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
    """A model as a function of the samples, the labels of its answer, and how the answer is laid out."""

    call: Callable[[Any], Any]
    labels: tuple[str, ...]
    reorder: Callable[[Any], np.ndarray]
    accepts_numeric_table: bool = False

    def predict(self, data: Any) -> ArtifactOutput:
        return ArtifactOutput(self.reorder(self.call(data)), self.labels)


def bind_numbers(
    call: Callable[[Any], Any], settings: ModelSettings, order: tuple[int, ...] | None = None
) -> BoundModel:
    """For a model that answers numbers: one a sample, or one column a class.

    Args:
        ask: from a table or sparse matrix to an array; a lone column of a binary model is the positive label's.
        order: for each declared label its column; None if the columns are in the order of the labels.

    Raises:
        ModelLoadError: the target is no number.
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
    """Whether a model of that many columns can predict the target.

    Raises:
        ModelLoadError: it has columns for other labels than the declared ones.
    """
    labels, target_type = settings.class_labels, settings.target_type
    wanted = len(labels) if target_type.has_class_labels else 1
    if found == wanted or (target_type is TargetType.BINARY and found == 1):
        return
    if target_type.has_class_labels:
        raise ModelLoadError(f"The model predicts {found} columns but {wanted} class labels are declared.")
    raise ModelLoadError(f"The model predicts {found} values a row; {target_type.value} models predict one.")


def one_column(output: Any) -> np.ndarray:
    """An answer of one value a sample as one column."""
    values = np.asarray(output)
    if values.ndim == 1:
        return values.reshape(-1, 1)
    if values.ndim != 2 or values.shape[1] != 1:
        raise PredictionError(f"The model must return one value a row, not an array of shape {values.shape}.")
    return values


@dataclass(frozen=True)
class ClassColumns:
    """Puts an answer of one column a class in the order of the labels; a lone column is the positive label's."""

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
