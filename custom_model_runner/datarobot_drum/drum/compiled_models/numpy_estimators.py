"""Linear models and single trees of scikit-learn as the operations of their prediction, in the same order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from datarobot_drum.drum.compiled_models.arrays import require_finite, require_width, to_floats, to_numbers
from datarobot_drum.drum.compiled_models.forms import CannotCompileError, NotCoveredError, Step
from datarobot_drum.drum.compiled_models.original_classes import class_name

_LINEAR_REGRESSORS = frozenset({
    "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "Lars", "LarsCV",
    "LassoLars", "LassoLarsCV", "LassoLarsIC", "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV",
    "MultiTaskLasso", "MultiTaskElasticNet", "HuberRegressor", "TheilSenRegressor", "QuantileRegressor", "LinearSVR",
    "ARDRegression", "BayesianRidge",
})  # fmt: skip
_GENERALIZED = frozenset({"PoissonRegressor", "GammaRegressor", "TweedieRegressor"})
_LOGISTIC = frozenset({"LogisticRegression", "LogisticRegressionCV"})
_TREES = frozenset({"DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor"})


def compile_estimator(estimator: Any, method: str) -> Step:
    """Return the compiled method.

    Raises:
        CannotCompileError: there is none for this estimator or method.
    """
    name = class_name(estimator)
    if name in _LINEAR_REGRESSORS and method == "predict":
        return _linear(estimator)
    if name in _GENERALIZED and method == "predict":
        return _generalized(estimator)
    if name in _LOGISTIC and method == "predict_proba":
        return _logistic(estimator)
    if name == "SGDClassifier" and method == "predict_proba" and estimator.loss == "log_loss":
        return _one_versus_rest(_decision_function(estimator))
    if name == "SGDRegressor" and method == "predict":
        decide = _decision_function(estimator)
        return lambda data: decide(data).ravel()
    if name in _TREES and method in ("predict", "predict_proba"):
        return _tree(estimator, method)
    raise CannotCompileError(f"no compiler for {method} of {type(estimator).__name__}")


def _samples(data: Any, width: int) -> Any:
    """Return finite samples as numbers; those of a CSR matrix as they are."""
    if hasattr(data, "tocsr"):
        if data.format != "csr" or data.shape[1] != width or data.dtype.kind != "f":
            raise NotCoveredError
        require_finite(data.data)
        return data
    values = to_numbers(data)
    require_width(values, width)
    require_finite(values)
    return values


def _float_samples(data: Any, width: int) -> Any:
    return _samples(data if hasattr(data, "tocsr") else to_floats(data), width)


def _linear(estimator: Any) -> Step:
    coefficients, width = estimator.coef_, estimator.n_features_in_
    weights = coefficients if coefficients.ndim == 1 else coefficients.T
    intercept = estimator.intercept_
    return lambda data: _samples(data, width) @ weights + intercept


def _generalized(estimator: Any) -> Step:
    link = getattr(getattr(estimator, "_base_loss", None), "link", None)
    if link is None:
        raise CannotCompileError("the link of a generalized linear model is not known")
    coefficients, intercept, width = estimator.coef_, estimator.intercept_, estimator.n_features_in_
    return lambda data: link.inverse(_float_samples(data, width) @ coefficients + intercept)


def _decision_function(estimator: Any) -> Callable[[Any], np.ndarray]:
    from sklearn.utils.extmath import safe_sparse_dot

    coefficients, intercept, width = estimator.coef_, estimator.intercept_, estimator.n_features_in_
    weights = coefficients.T if coefficients.ndim == 2 else coefficients

    def decide(data: Any) -> np.ndarray:
        samples = _samples(data, width)
        dot = samples @ weights if type(samples) is np.ndarray else safe_sparse_dot(samples, weights, dense_output=True)
        scores: np.ndarray = dot + intercept
        return scores.reshape(-1) if scores.ndim > 1 and scores.shape[1] == 1 else scores

    return decide


def _logistic(estimator: Any) -> Step:
    from sklearn.utils.extmath import softmax

    decide = _decision_function(estimator)
    if len(estimator.classes_) > 2:
        return lambda data: softmax(decide(data), copy=False)
    return _one_versus_rest(decide)


def _one_versus_rest(decide: Callable[[Any], np.ndarray]) -> Step:
    from scipy.special import expit

    def predict(data: Any) -> np.ndarray:
        scores = decide(data)
        expit(scores, out=scores)
        if scores.ndim == 1:
            return np.stack([1 - scores, scores], axis=1)
        sums = scores.sum(axis=1)
        all_zero = sums == 0
        if all_zero.any():
            scores[all_zero, :] = 1
            sums[all_zero] = scores.shape[1]
        scores /= sums.reshape(len(scores), -1)
        return scores

    return predict


def _tree(estimator: Any, method: str) -> Step:
    """Compile a single tree: its own compiled code, called without the validation."""
    tree, width, classes = estimator.tree_, estimator.n_features_in_, getattr(estimator, "n_classes_", None)
    if estimator.n_outputs_ != 1 or (classes is not None and method == "predict"):
        raise CannotCompileError("a tree with several outputs, or that predicts labels")

    def predict(data: Any) -> np.ndarray:
        values = to_float32(data, width)
        output: np.ndarray = tree.predict(values)
        return output[:, 0] if classes is None else output[:, :classes]

    return predict


def to_float32(data: Any, width: int, *, accepts_missing: bool = False) -> np.ndarray:
    """Return the samples rounded to float32, as the trees of scikit-learn take them.

    Raises:
        NotCoveredError: the original rejects the samples, such as numbers that are too large.
    """
    data = data.toarray() if hasattr(data, "toarray") else data
    with np.errstate(over="ignore"):
        values = to_floats(data, np.float32)
    require_width(values, width)
    if not np.isfinite(values).all() and (not accepts_missing or np.isinf(values).any()):
        raise NotCoveredError
    return values
