"""Check at load that the kind of an estimator fits the target type.

The kind is what scikit-learn's tags say, also of the last step of a pipeline and of the estimator in a search. An
estimator of another kind than the target is rejected if another target type fits it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.artifact_predictors.frameworks import module_roots
from datarobot_drum.drum.artifact_predictors.label_matching import as_number
from datarobot_drum.drum.artifact_predictors.model_labels import estimator_classes
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.settings.target_types import TargetType

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

CLASSIFIER, REGRESSOR, CLUSTERER, OUTLIER_DETECTOR = "classifier", "regressor", "clusterer", "outlier_detector"

_MAX_NESTING = 10
"""Limit for nested pipelines and searches, and for objects that return a value for any attribute."""

_PROBABILITY_OBJECTIVES = {"binary:logistic", "reg:logistic", "binary", "cross_entropy", "xentropy"}
"""Objectives with which a regressor of XGBoost or LightGBM predicts the probability of the positive class."""


def require_fitting_kind(estimator: Any, settings: ModelSettings) -> None:
    """Require a kind of estimator that can predict the target.

    Raises:
        ModelLoadError: another target type fits; the message names it.
    """
    target_type, kind = settings.target_type, find_kind(estimator)
    name = type(estimator).__name__
    if target_type is TargetType.REGRESSION and kind == CLASSIFIER:
        raise ModelLoadError(f"{name} is a classifier, not a regressor: give {_classifier_target(estimator)}.")
    if target_type is TargetType.ANOMALY and kind == CLASSIFIER and not _has_numeric_classes(estimator):
        raise ModelLoadError(
            f"{name} is a classifier whose classes are no scores: give {_classifier_target(estimator)}."
        )
    if kind == OUTLIER_DETECTOR and (target_type is TargetType.REGRESSION or target_type.has_class_labels):
        raise ModelLoadError(f"{name} is an outlier detector: give --target-type anomaly.")
    if target_type.has_class_labels and kind == REGRESSOR and not _predicts_probabilities(estimator):
        raise ModelLoadError(
            f"{name} is a regressor and has no class probabilities (predict_proba): give --target-type regression."
        )
    if target_type.has_class_labels and kind == CLUSTERER and not callable(getattr(estimator, "predict_proba", None)):
        raise ModelLoadError(
            f"{name} is a clusterer and has no class probabilities (predict_proba): add a score hook to custom.py."
        )
    if target_type.is_classification and _is_multilabel(estimator):
        raise ModelLoadError(f"{name} was trained on several labels a row: give {_classifier_target(estimator)}.")


def find_kind(estimator: Any) -> str | None:
    """Return the kind by scikit-learn's names, else ``classifier`` for an object with classes; None if unknown."""
    try:
        kind = estimator.__sklearn_tags__().estimator_type
    except Exception:  # estimators of other libraries and versions may raise anything
        kind = getattr(estimator, "_estimator_type", None)
    if isinstance(kind, str):
        return kind
    return CLASSIFIER if estimator_classes(estimator) is not None else None


def count_outputs(estimator: Any) -> int | None:
    """Return the number of values that a regressor predicts for a row; None if the estimator does not show it."""
    inner = find_last_step(estimator)
    count = getattr(inner, "n_outputs_", None)
    if isinstance(count, int):
        return count
    parts = getattr(inner, "estimators_", None)
    if type(inner).__name__ in ("MultiOutputRegressor", "RegressorChain") and isinstance(parts, list):
        return len(parts)
    # A linear model has a row of coefficients per target.
    shape: tuple[int, ...] = getattr(getattr(inner, "coef_", None), "shape", ())
    return int(shape[0]) if len(shape) == 2 else None


def find_last_step(estimator: Any) -> Any:
    """Return the estimator that predicts inside pipelines and searches."""
    *_, last = _nested(estimator)
    return last


def _nested(estimator: Any) -> Iterator[Any]:
    for _ in range(_MAX_NESTING):
        yield estimator
        steps = getattr(estimator, "steps", None)
        following = steps[-1][1] if isinstance(steps, list) and steps else getattr(estimator, "best_estimator_", None)
        if following is None:
            return
        estimator = following


def _classifier_target(estimator: Any) -> str:
    """Return the flag of the target type that fits a classifier."""
    classes = estimator_classes(estimator)
    if _is_multilabel(estimator) or any(hasattr(item, "__len__") and not _is_text(item) for item in classes or ()):
        return f"--target-type multilabel and --class-labels with {len(classes or ())} labels"
    if classes is None:
        return "--target-type binary or multiclass"
    return f"--target-type {'binary' if len(classes) == 2 else 'multiclass'}"


def _is_text(value: Any) -> bool:
    return isinstance(value, str | bytes)


def _has_numeric_classes(estimator: Any) -> bool:
    classes = estimator_classes(estimator) or ()
    return all(not hasattr(item, "__len__") and as_number(item) is not None for item in classes)


def _predicts_probabilities(estimator: Any) -> bool:
    inner = find_last_step(estimator)
    return callable(getattr(estimator, "predict_proba", None)) or (
        str(getattr(inner, "objective", None)) in _PROBABILITY_OBJECTIVES
    )


def _is_multilabel(estimator: Any) -> bool:
    """Return True for classifiers with one array of probabilities that do not exclude each other."""
    inner = find_last_step(estimator)
    if type(inner).__name__ == "MLPClassifier":
        return getattr(inner, "out_activation_", None) == "logistic" and getattr(inner, "n_outputs_", 1) > 1
    if "catboost" in module_roots(inner) and callable(getattr(inner, "get_all_params", None)):
        return _catboost_loss(inner) in ("MultiLogloss", "MultiCrossEntropy")
    return getattr(inner, "multilabel_", False) is True


def _catboost_loss(model: Any) -> Any:
    """Return the loss function of a CatBoost model; None for a file of a version that did not store it."""
    try:
        return model.get_all_params().get("loss_function")
    except Exception:  # CatBoostError, whose class only CatBoost has
        return None
