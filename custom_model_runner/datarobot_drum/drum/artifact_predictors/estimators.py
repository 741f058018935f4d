"""Bind scikit-learn estimators: one method per target type. Values equal the estimator's own, bit for bit.

===============  =====================================================================================
regression       ``predict``; several values a row are several targets
binary,          ``predict_proba``, its columns in the order of the declared labels; without
multiclass       classes, ``predict`` with one column per label, or the positive label's for binary
multilabel       ``predict_proba``: a list of arrays, or one array with a column per label
anomaly          ``-decision_function`` of an outlier detector: higher is more anomalous, above 0 is an
                 outlier by its own threshold; ``predict`` of any other estimator
text and others  ``predict``
===============  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from datarobot_drum.drum.artifact_predictors.array_input import accepts_arrays
from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactOutput
from datarobot_drum.drum.artifact_predictors.class_columns import (
    ClassColumns,
    column_names,
    one_column,
    require_target_count,
    value_columns,
)
from datarobot_drum.drum.artifact_predictors.estimator_kind import (
    OUTLIER_DETECTOR,
    count_outputs,
    find_kind,
    find_last_step,
)
from datarobot_drum.drum.artifact_predictors.features import NumericFeatures, select_features
from datarobot_drum.drum.artifact_predictors.frameworks import module_roots
from datarobot_drum.drum.artifact_predictors.inplace_scalers import with_inplace_scalers
from datarobot_drum.drum.artifact_predictors.label_matching import match_labels
from datarobot_drum.drum.artifact_predictors.model_labels import order_classes
from datarobot_drum.drum.compiled_models.prediction_function import PredictionFunction
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular.numeric_table import NumericTable

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

MIN_INPLACE_BYTES = 16 * 1024 * 1024
"""Minimum size of the samples that scalers overwrite instead of copying them."""


@dataclass(frozen=True)
class BoundEstimator:
    """An estimator with the method to call, the labels of its output, and the function that reorders the output."""

    estimator: Any
    method: str
    labels: tuple[str, ...]
    reorder: Callable[[Any], np.ndarray]

    @cached_property
    def function(self) -> PredictionFunction:
        """The method that predicts, or its compiled form."""
        method = getattr(self.estimator, self.method)
        return PredictionFunction(method, self.estimator, self.method, reads_arrays=accepts_arrays(self.estimator))

    @property
    def accepts_numeric_table(self) -> bool:
        return self.function.reads_arrays or self.function.is_compiled

    @cached_property
    def _numeric_features(self) -> NumericFeatures:
        return NumericFeatures(getattr(self.estimator, "feature_names_in_", None))

    @cached_property
    def _inplace_estimator(self) -> Any:
        return with_inplace_scalers(self.estimator)

    def predict(self, data: Any) -> ArtifactOutput:
        """Predict a table; the caller must not use it afterwards, since a large ``NumericTable`` may be overwritten."""
        if isinstance(data, NumericTable):
            output = self._predict_table(self._numeric_features.select(data))
        else:
            output = self.function(select_features(self.estimator, data))
        return ArtifactOutput(self.reorder(output), self.labels or column_names(output))

    def _predict_table(self, table: NumericTable) -> Any:
        features = table.to_array()
        if not self.function.reads_arrays:
            return self.function(features, lambda: select_features(self.estimator, table.to_frame()))
        if features.nbytes >= MIN_INPLACE_BYTES:
            return self.function.run_original(getattr(self._inplace_estimator, self.method), features)
        return self.function(features)


def bind_estimator(estimator: Any, settings: ModelSettings) -> ArtifactModel:
    """Choose the method and the column order for the target.

    Raises:
        ModelLoadError: the estimator is of another kind than the target, or its classes are not the labels.
    """
    target_type = settings.target_type
    if target_type.has_class_labels:
        return _bind_classifier(estimator, settings)
    if target_type is TargetType.ANOMALY and _is_outlier_detector(estimator):
        return BoundEstimator(estimator, "decision_function", (), lambda output: -one_column(output))
    _require_method(estimator, "predict", target_type)
    require_target_count(count_outputs(estimator), settings)
    reorder = value_columns if target_type is TargetType.REGRESSION else one_column
    return BoundEstimator(estimator, "predict", (), reorder)


def _bind_classifier(estimator: Any, settings: ModelSettings) -> BoundEstimator:
    labels, target_type = settings.class_labels, settings.target_type
    classes = getattr(estimator, "classes_", None)
    if not _has_method(estimator, "predict_proba"):
        _reject_classifier_without_probabilities(estimator, classes, target_type)
        return BoundEstimator(estimator, "predict", labels, ClassColumns(labels, target_type))
    if target_type is TargetType.MULTILABEL:
        # Here XGBoost's classes_ are those of each label: 0 and 1.
        own = None if _requires_numbered_classes(estimator) else classes
        return BoundEstimator(estimator, "predict_proba", labels, _multilabel_reorder(labels, own))
    order = (
        None if classes is None else order_classes(classes, settings, numbered=_requires_numbered_classes(estimator))
    )
    return BoundEstimator(estimator, "predict_proba", labels, ClassColumns(labels, target_type, order))


def _requires_numbered_classes(estimator: Any) -> bool:
    """Return True if the estimator, or the last step of a pipeline, only supports the classes 0, 1, 2 ..."""
    return "xgboost" in module_roots(find_last_step(estimator))


def _reject_classifier_without_probabilities(estimator: Any, classes: Any, target_type: TargetType) -> None:
    """Reject a classifier without ``predict_proba``; a regressor may predict the probability itself."""
    name = type(estimator).__name__
    if classes is not None or _has_method(estimator, "decision_function"):
        raise ModelLoadError(
            f"{name} has no predict_proba, which {target_type.value} models need: train it with probabilities, or wrap "
            "it in CalibratedClassifierCV."
        )
    _require_method(estimator, "predict", target_type)


def _is_outlier_detector(estimator: Any) -> bool:
    """Return True for a decision function without classes; classifiers have both."""
    if find_kind(estimator) == OUTLIER_DETECTOR:
        return _has_method(estimator, "decision_function")
    return _has_method(estimator, "decision_function") and not hasattr(estimator, "classes_")


def _has_method(estimator: Any, method: str) -> bool:
    return callable(getattr(estimator, method, None))


def _require_method(estimator: Any, method: str, target_type: TargetType) -> None:
    if not _has_method(estimator, method):
        advice = " give --target-type transform, or" if _has_method(estimator, "transform") else ""
        raise ModelLoadError(
            f"{type(estimator).__name__} has no {method}, which {target_type.value} models need:{advice} add a score "
            "hook to custom.py."
        )


def _multilabel_reorder(labels: tuple[str, ...], classes: Any) -> Callable[[Any], np.ndarray]:
    """Reorder columns only if the estimator's classes are the labels in another order."""
    if classes is not None and len(classes) != len(labels):
        raise ModelLoadError(
            f"The estimator predicts {len(classes)} labels but {len(labels)} class labels are declared."
        )
    if _is_list_of_classes(classes):
        found = [list(item) for item in classes]
        return lambda output: ClassColumns(labels, TargetType.MULTILABEL)(_positive_columns(output, found))
    matches = {} if classes is None else match_labels(labels, list(classes))
    order = tuple(matches[label] for label in labels) if len(matches) == len(labels) else None
    columns = ClassColumns(labels, TargetType.MULTILABEL, order)
    return lambda output: columns(_positive_columns(output, None))


def _is_list_of_classes(classes: Any) -> bool:
    return isinstance(classes, Sequence) and all(isinstance(item, np.ndarray | list) for item in classes)


def _positive_columns(output: Any, classes: list[list[Any]] | None) -> np.ndarray:
    """Return one column per label from a list with one array of class probabilities per label."""
    if not isinstance(output, list | tuple):
        return np.asarray(output)
    arrays = [np.asarray(item) for item in output]
    known = classes if classes is not None and len(classes) == len(arrays) else [[0, 1]] * len(arrays)
    return np.column_stack([_label_probability(array, own) for array, own in zip(arrays, known, strict=True)])


def _label_probability(array: np.ndarray, classes: list[Any]) -> np.ndarray:
    """Return the last of a label's two columns; a label constant in training has one column, all 0 or all 1."""
    if array.ndim == 1 or array.shape[1] > 1 or len(classes) != 1:
        return array if array.ndim == 1 else array[:, -1]
    applies = match_labels(["1"], classes) or not match_labels(["0"], classes)
    return array[:, 0] if applies else np.zeros(len(array))
