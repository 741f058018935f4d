"""Tree models of XGBoost and LightGBM by treelite."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import treelite

from datarobot_drum.drum.compiled_models.arrays import require_no_infinity, require_width, to_floats, to_singles
from datarobot_drum.drum.compiled_models.booster_rounds import iteration_range
from datarobot_drum.drum.compiled_models.forms import CannotCompileError, CompiledForm, NotCoveredError, Part, Step
from datarobot_drum.drum.compiled_models.original_classes import class_name
from datarobot_drum.drum.compiled_models.treelite_trees import Trees
from datarobot_drum.drum.tabular.lazy_pandas import pd

NAME = "treelite"

_METHODS = {
    "XGBClassifier": "predict_proba",
    "XGBRFClassifier": "predict_proba",
    "XGBRegressor": "predict",
    "XGBRFRegressor": "predict",
    "LGBMClassifier": "predict_proba",
    "LGBMRegressor": "predict",
}
_LIGHTGBM_ZERO = float(np.float32(1e-35))
"""LightGBM takes smaller numbers as zero."""
_LOGISTIC = ("binary:logistic", "reg:logistic")
_MIN_PROBABILITY = 1e-30
"""XGBoost limits the sum from which it computes smaller probabilities."""
_CATEGORICAL_SPLIT = re.compile(r"^num_cat=[1-9]", re.MULTILINE)
_EARLY_STOP = ("pred_early_stop", "predict_disable_shape_check", "linear_tree")


@dataclass(frozen=True, eq=False)
class Original:
    """A booster, and how the model that has it predicts rows of numbers.

    Args:
        predict: the method to compile.
        rounds: the iterations that predict; None for all.
        is_table: True if a lone probability gets a column for the other class beside it.
    """

    name: str
    booster: Any
    predict: Callable[[np.ndarray], Any]
    rounds: int | None = None
    is_table: bool = False


def compile_booster(model: Any, method: str) -> CompiledForm:
    """Compile a native model of XGBoost or LightGBM, or one of their classes for scikit-learn.

    Raises:
        CannotCompileError: the model, or one of its options, is not supported.
    """
    name = class_name(model)
    if name == "Booster" and method == "predict":
        is_xgboost = type(model).__module__.startswith("xgboost")
        return _compile_xgboost(_native_xgboost(model)) if is_xgboost else _compile_lightgbm(_native_lightgbm(model))
    if method == _METHODS.get(name):
        return (
            _compile_xgboost(_sklearn_xgboost(model, method))
            if name.startswith("XGB")
            else _compile_lightgbm(_sklearn_lightgbm(model, method))
        )
    raise CannotCompileError(f"no compiler for {method} of {type(model).__name__}")


def _native_xgboost(booster: Any) -> Original:
    import xgboost

    names, types, rounds = booster.feature_names, booster.feature_types, iteration_range(booster)

    def predict(rows: np.ndarray) -> Any:
        matrix = xgboost.DMatrix(rows, feature_names=names, feature_types=types)
        return booster.predict(matrix, iteration_range=rounds)

    return Original("Booster", booster, predict, rounds[1] or None)


def _sklearn_xgboost(model: Any, method: str) -> Original:
    missing = model.missing
    if not (isinstance(missing, float) and math.isnan(missing)):
        raise CannotCompileError("XGBoost with another missing value")

    is_table = method == "predict_proba"
    rounds = _best_rounds(model)
    return Original(type(model).__name__, model.get_booster(), _method(model, method), rounds, is_table)


def _method(model: Any, method: str) -> Callable[[np.ndarray], Any]:
    return lambda rows: getattr(model, method)(as_trained(model, rows))


def _best_rounds(model: Any) -> int | None:
    try:
        return int(model.best_iteration) + 1
    except AttributeError:
        return None


def _compile_xgboost(original: Original) -> CompiledForm:
    booster = original.booster
    learner = json.loads(booster.save_config())["learner"]
    if learner["gradient_booster"]["name"] != "gbtree":  # dart rounds each tree's weighted value in its own way
        raise CannotCompileError(f"XGBoost with {learner['gradient_booster']['name']}")
    if "c" in (booster.feature_types or ()):
        raise CannotCompileError("XGBoost with categories")
    trees = _imported(
        treelite.frontend.from_xgboost, booster if original.rounds is None else booster[: original.rounds]
    )
    width = int(booster.num_features())
    scores = _base_scores(booster, width)
    if scores.shape != trees.base_scores.shape:
        raise CannotCompileError("XGBoost with several targets")
    trees.add_base_first(scores)
    is_logistic = learner["objective"]["name"] in _LOGISTIC
    return _form(original, trees, _xgboost_step(trees, width, original.is_table, is_logistic), width)


def _xgboost_step(trees: Trees, width: int, is_table: bool, is_logistic: bool) -> Step:
    def predict(data: Any) -> np.ndarray:
        values = _singles(data, width)
        output = trees.probabilities(values)
        if is_logistic and output.min() < _MIN_PROBABILITY:
            raise NotCoveredError
        table = output.reshape(len(values), -1)
        if table.shape[1] > 1:
            return table
        return np.column_stack([1.0 - table, table]).astype(np.float32) if is_table else table.reshape(-1)

    return predict


def _singles(data: Any, width: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        values = to_singles(data)
    require_width(values, width)
    require_no_infinity(values)
    return values


def _base_scores(booster: Any, width: int) -> np.ndarray:
    """Return the sums of the booster with leaves of zero.

    treelite computes them again, with another last bit at times, which shows in the sums of few rows only.

    Raises:
        CannotCompileError: the model's JSON has another layout.
    """
    import xgboost

    try:
        model = json.loads(booster[:1].save_raw("json"))
        for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
            inner = zip(tree["left_children"], tree["split_conditions"], strict=True)
            tree["split_conditions"] = [0.0 if left < 0 else threshold for left, threshold in inner]
        flat = xgboost.Booster(model_file=bytearray(json.dumps(model).encode()))
        row = xgboost.DMatrix(
            np.zeros((1, width), np.float32), feature_names=booster.feature_names, feature_types=booster.feature_types
        )
        scores: np.ndarray = flat.predict(row, output_margin=True).reshape(-1)
    except (xgboost.core.XGBoostError, ValueError, KeyError, TypeError) as error:
        raise CannotCompileError(f"the base score of XGBoost is not known: {error}") from error
    return scores


def as_trained(model: Any, rows: np.ndarray) -> Any:
    """Return rows as a frame if the model was trained on one: XGBoost compares the names."""
    names = getattr(model, "feature_names_in_", None)
    return rows if names is None or len(names) != rows.shape[1] else pd.DataFrame(rows, columns=names)


def _native_lightgbm(booster: Any) -> Original:
    if any(booster.params.get(name) for name in _EARLY_STOP):
        raise CannotCompileError("LightGBM with an option of prediction")
    return Original("Booster", booster, booster.predict)


def _sklearn_lightgbm(model: Any, method: str) -> Original:
    if any(model.get_params().get(name) for name in _EARLY_STOP):
        raise CannotCompileError("LightGBM with an option of prediction")
    is_table = method == "predict_proba"
    return Original(type(model).__name__, model.booster_, _method(model, method), is_table=is_table)


def _compile_lightgbm(original: Original) -> CompiledForm:
    booster = original.booster
    text = booster.model_to_string()
    if booster.pandas_categorical or _CATEGORICAL_SPLIT.search(text):
        raise CannotCompileError("LightGBM with categories")
    if "is_linear=1" in text or "[zero_as_missing: 1]" in text:
        raise CannotCompileError("LightGBM with linear trees or zeros as missing values")
    trees = _imported(treelite.frontend.from_lightgbm, booster)
    width = int(booster.num_feature())
    objective = text.partition("\nobjective=")[2].partition("\n")[0]
    return _form(original, trees, _lightgbm_step(trees, width, original.is_table, objective), width)


def _lightgbm_step(trees: Trees, width: int, is_table: bool, objective: str) -> Step:
    is_softmax = objective.startswith("multiclass ")

    def predict(data: Any) -> np.ndarray:
        values = to_floats(data, np.float64)
        require_width(values, width)
        values = np.where(np.abs(values) <= _LIGHTGBM_ZERO, 0.0, values)
        if is_softmax:
            return _softmax(trees.sums(values).reshape(len(values), -1))
        output = trees.probabilities(values).reshape(len(values), -1)
        if output.shape[1] > 1:
            return output
        return np.vstack((1.0 - output[:, 0], output[:, 0])).transpose() if is_table else output.reshape(-1)

    return predict


def _softmax(sums: np.ndarray) -> np.ndarray:
    """Return the softmax with the C library's ``exp`` and the order of LightGBM's own sum."""
    output = np.empty_like(sums)
    exp = math.exp
    for row, values in enumerate(sums.tolist()):
        top = max(values)
        powers = [exp(value - top) for value in values]
        total = 0.0
        for power in powers:
            total += power
        output[row] = [power / total for power in powers]
    return output


def _imported(frontend: Any, booster: Any) -> Trees:
    try:
        return Trees(frontend(booster))
    except (treelite.TreeliteError, json.JSONDecodeError, ValueError, KeyError, IndexError, TypeError) as error:
        raise CannotCompileError(f"treelite does not import it: {error}") from error


def _form(original: Original, trees: Trees, step: Step, width: int) -> CompiledForm:
    def rows() -> Iterator[np.ndarray]:
        return trees.rows_around_thresholds(width)

    return CompiledForm((NAME,), step, (Part(original.name, original.predict, step, rows),), trees.nbytes)
