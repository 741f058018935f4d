"""Tree ensembles of scikit-learn by treelite; the function after the sums is scikit-learn's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import treelite

from datarobot_drum.drum.compiled_models.arrays import require_width, to_floats
from datarobot_drum.drum.compiled_models.forms import CannotCompileError, CompiledForm, Part, Step
from datarobot_drum.drum.compiled_models.numpy_estimators import to_float32
from datarobot_drum.drum.compiled_models.original_classes import class_name, is_original
from datarobot_drum.drum.compiled_models.reference import sequential
from datarobot_drum.drum.compiled_models.treelite_trees import Trees

NAME = "treelite"

_FORESTS = ("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor")
_BOOSTED = ("GradientBoostingClassifier", "GradientBoostingRegressor")
_HISTOGRAM = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
_METHODS = {"Classifier": "predict_proba", "Regressor": "predict"}


def compile_ensemble(estimator: Any, method: str) -> CompiledForm:
    """Compile a forest, boosted trees or an isolation forest.

    Raises:
        CannotCompileError: the ensemble, or one of its options, is not supported.
    """
    name = class_name(estimator)
    if name == "IsolationForest" and method == "decision_function":
        return _compile(estimator, method, _isolation_forest)
    if method == next((own for kind, own in _METHODS.items() if name.endswith(kind)), ""):
        for names, compiler in ((_FORESTS, _forest), (_BOOSTED, _boosted), (_HISTOGRAM, _histogram)):
            if name in names:
                return _compile(estimator, method, compiler)
    raise CannotCompileError(f"no compiler for {method} of {type(estimator).__name__}")


def _compile(estimator: Any, method: str, compiler: Callable[[Any, Trees], Step]) -> CompiledForm:
    _require_original_trees(estimator)
    try:
        trees = Trees(treelite.sklearn.import_model(estimator))
    except (
        treelite.TreeliteError,
        NotImplementedError,
        AssertionError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise CannotCompileError(f"treelite does not import it: {error}") from error
    predict = compiler(estimator, trees)
    width = estimator.n_features_in_

    def rows() -> Iterator[np.ndarray]:
        return trees.rows_around_thresholds(width)

    part = Part(type(estimator).__name__, getattr(sequential(estimator), method), predict, rows)
    return CompiledForm((NAME,), predict, (part,), trees.nbytes, takes_dense=True)


def _require_original_trees(estimator: Any) -> None:
    trees = getattr(estimator, "estimators_", ())
    if not all(is_original(tree) for tree in np.ravel(np.asarray(trees, dtype=object))):
        raise CannotCompileError("a tree of another class")


def _forest(estimator: Any, trees: Trees) -> Step:
    width = estimator.n_features_in_
    accepts_missing = _accepts_missing(estimator, width)
    classes = np.atleast_1d(getattr(estimator, "n_classes_", 1))
    is_classifier = hasattr(estimator, "n_classes_")
    if is_classifier:  # treelite divides the shares of the classes by their sum once more
        for number, tree in enumerate(estimator.estimators_):
            trees.set_leaf_vectors(number, tree.tree_.value)

    def predict(data: Any) -> Any:
        values = to_float32(data, width, accepts_missing=accepts_missing).astype(np.float64)
        output = trees.sums(values)
        if is_classifier:
            tables = [output[:, target, :count] for target, count in enumerate(classes)]
            return tables[0] if len(tables) == 1 else tables
        return output.reshape(len(values), -1) if output.shape[1] > 1 else output.reshape(-1)

    return predict


def _accepts_missing(estimator: Any, width: int) -> bool:
    try:
        estimator.estimators_[0].predict(np.full((1, width), np.nan, np.float32))
    except ValueError:
        return False
    return True


def _boosted(estimator: Any, trees: Trees) -> Step:
    """Compile gradient boosting with a constant start."""
    trees.add_base_first(trees.base_scores)
    return _boosted_step(estimator, trees, lambda data: to_float32(data, estimator.n_features_in_).astype(np.float64))


def _histogram(estimator: Any, trees: Trees) -> Step:
    """Compile histogram gradient boosting on numbers; it accepts missing and infinite values."""
    if getattr(estimator, "_preprocessor", None) is not None or getattr(estimator, "is_categorical_", None) is not None:
        raise CannotCompileError("histogram gradient boosting with categories")
    trees.add_base_first(trees.base_scores)
    width = estimator.n_features_in_

    def samples(data: Any) -> np.ndarray:
        values = to_floats(data, np.float64)
        require_width(values, width)
        return values

    return _boosted_step(estimator, trees, samples)


def _boosted_step(estimator: Any, trees: Trees, samples: Callable[[Any], np.ndarray]) -> Step:
    loss = estimator._loss
    is_histogram = class_name(estimator) in _HISTOGRAM

    def raw(data: Any) -> np.ndarray:
        values = samples(data)
        return trees.sums(values).reshape(len(values), -1)

    def probabilities(data: Any) -> Any:
        sums = raw(data)
        return loss.predict_proba(sums[:, 0] if sums.shape[1] == 1 else sums)

    def numbers(data: Any) -> Any:
        sums = raw(data).ravel()
        return loss.link.inverse(sums) if is_histogram else sums

    return probabilities if hasattr(estimator, "classes_") else numbers


def _isolation_forest(estimator: Any, trees: Trees) -> Step:
    """Compile the average depth; the values of the nodes are replaced by the terms of scikit-learn's own sum."""
    from sklearn.ensemble._iforest import _average_path_length

    lengths, averages = estimator._decision_path_lengths, estimator._average_path_length_per_tree
    for number, (length, average) in enumerate(zip(lengths, averages, strict=True)):
        trees.set_leaf_values(number, np.asarray(length + average - 1.0, np.float64))
    trees.sum_only()
    width, offset = estimator.n_features_in_, estimator.offset_
    denominator = len(estimator.estimators_) * _average_path_length([estimator._max_samples])

    def predict(data: Any) -> np.ndarray:
        values = to_float32(data, width).astype(np.float64)
        depths = trees.sums(values).reshape(-1)
        ratio = np.divide(depths, denominator, out=np.ones_like(depths), where=denominator != 0)
        scores: np.ndarray = -(2**-ratio) - offset
        return scores

    return predict
