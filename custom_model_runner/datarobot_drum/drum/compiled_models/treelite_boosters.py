"""Tree models of XGBoost and LightGBM by treelite."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import treelite

from datarobot_drum.drum.compiled_models.arrays import require_no_infinity, require_width, to_floats
from datarobot_drum.drum.compiled_models.forms import CannotCompileError, CompiledForm, Part, Step
from datarobot_drum.drum.compiled_models.original_classes import class_name
from datarobot_drum.drum.compiled_models.treelite_trees import Trees
from datarobot_drum.drum.tabular.lazy_pandas import pd

NAME = "treelite"

_XGBOOST_CLASSIFIERS, _XGBOOST_REGRESSORS = ("XGBClassifier", "XGBRFClassifier"), ("XGBRegressor", "XGBRFRegressor")
_BASE_SEARCH = 3
"""Floats on either side of a candidate for XGBoost's base score that are tried, too."""
_LIGHTGBM_ZERO = float(np.float32(1e-35))
"""LightGBM takes smaller numbers as zero."""
_EARLY_STOP = ("pred_early_stop", "predict_disable_shape_check", "linear_tree")


def compile_booster(model: Any, method: str) -> CompiledForm:
    """Compile a model of XGBoost's or LightGBM's classes for scikit-learn.

    Raises:
        CannotCompileError: the model, or one of its options, is not supported.
    """
    name = class_name(model)
    if name in _XGBOOST_CLASSIFIERS and method == "predict_proba":
        return _xgboost(model, method)
    if name in _XGBOOST_REGRESSORS and method == "predict":
        return _xgboost(model, method)
    if name in ("LGBMClassifier", "LGBMRegressor") and method == _lightgbm_method(name):
        return _lightgbm(model, method)
    raise CannotCompileError(f"no compiler for {method} of {type(model).__name__}")


def _xgboost(model: Any, method: str) -> CompiledForm:
    missing = model.missing
    if not (isinstance(missing, float) and math.isnan(missing)) or model.get_xgb_params().get("booster") == "gblinear":
        raise CannotCompileError("XGBoost with another missing value, or without trees")
    booster = model.get_booster()
    if "c" in (booster.feature_types or ()):
        raise CannotCompileError("XGBoost with categories")
    stop = _best_iteration(model)
    trees = _imported(treelite.frontend.from_xgboost, booster if stop is None else booster[: stop + 1])
    width = int(booster.num_features())
    trees.add_base_first(_base_scores(model, trees, width))
    step = _xgboost_step(trees, width, method == "predict_proba")
    return _form(model, method, trees, step, width)


def _best_iteration(model: Any) -> int | None:
    try:
        return int(model.best_iteration)
    except AttributeError:
        return None


def _xgboost_step(trees: Trees, width: int, is_classifier: bool) -> Step:
    def predict(data: Any) -> np.ndarray:
        values = _singles(data, width)
        output = trees.probabilities(values)
        if not is_classifier:
            return output.reshape(len(values), -1) if output.shape[1] > 1 else output.reshape(-1)
        table = output.reshape(len(values), -1)
        return np.column_stack([1.0 - table, table]).astype(np.float32) if table.shape[1] == 1 else table

    return predict


def _singles(data: Any, width: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        values = to_floats(data, np.float32)
    require_width(values, width)
    require_no_infinity(values)
    return values


def _base_scores(model: Any, trees: Trees, width: int) -> np.ndarray:
    """Return XGBoost's own base score: that of the candidates which gives the sums of the original."""
    rows = np.random.default_rng(0).normal(size=(200, width)).astype(np.float32)
    expected = model.predict(as_trained(model, rows), output_margin=True).reshape(len(rows), -1)
    imported = trees.base_scores.astype(np.float32)
    for candidate in _base_candidates(model, imported):
        trees.add_base_first(candidate)
        if np.array_equal(trees.sums(rows).reshape(len(rows), -1), expected):
            return candidate
    return imported


def _base_candidates(model: Any, imported: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the base score that treelite computes, that in the precision of XGBoost, and their neighbours."""
    centers = [imported]
    stored = json.loads(model.get_booster().save_config())["learner"]["learner_model_param"]["base_score"]
    probability = np.array(json.loads(stored if stored.startswith("[") else f"[{stored}]"), np.float32)
    with np.errstate(all="ignore"):
        margin = -np.log(np.float32(1) / probability - np.float32(1))
    if margin.shape == imported.shape and np.isfinite(margin).all():
        centers.append(margin)
    for center in centers:
        yield center
        up = down = center
        for _ in range(_BASE_SEARCH):
            up, down = np.nextafter(up, np.float32(np.inf)), np.nextafter(down, np.float32(-np.inf))
            yield up
            yield down


def as_trained(model: Any, rows: np.ndarray) -> Any:
    """Return rows as a frame if the model was trained on one: XGBoost compares the names."""
    names = getattr(model, "feature_names_in_", None)
    return rows if names is None or len(names) != rows.shape[1] else pd.DataFrame(rows, columns=names)


def _lightgbm_method(name: str) -> str:
    return "predict_proba" if name == "LGBMClassifier" else "predict"


def _lightgbm(model: Any, method: str) -> CompiledForm:
    booster = model.booster_
    text = booster.model_to_string()
    if booster.pandas_categorical or "is_linear=1" in text or "[zero_as_missing: 1]" in text:
        raise CannotCompileError("LightGBM with pandas categories, linear trees or zeros as missing values")
    if any(model.get_params().get(name) for name in _EARLY_STOP):
        raise CannotCompileError("LightGBM with an option of prediction")
    trees = _imported(treelite.frontend.from_lightgbm, booster)
    width = int(booster.num_feature())
    objective = text.partition("\nobjective=")[2].partition("\n")[0]
    step = _lightgbm_step(trees, width, method == "predict_proba", objective)
    return _form(model, method, trees, step, width)


def _lightgbm_step(trees: Trees, width: int, is_classifier: bool, objective: str) -> Step:
    is_softmax = objective.startswith("multiclass ")

    def predict(data: Any) -> np.ndarray:
        values = to_floats(data, np.float64)
        require_width(values, width)
        values = np.where(np.abs(values) <= _LIGHTGBM_ZERO, 0.0, values)
        if is_softmax:
            return _softmax(trees.sums(values).reshape(len(values), -1))
        output = trees.probabilities(values).reshape(len(values), -1)
        if not is_classifier:
            return output.reshape(-1)
        return np.vstack((1.0 - output[:, 0], output[:, 0])).transpose() if output.shape[1] == 1 else output

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


def _form(model: Any, method: str, trees: Trees, step: Step, width: int) -> CompiledForm:
    def rows() -> Iterator[np.ndarray]:
        return trees.rows_around_thresholds(width)

    def original(block: np.ndarray) -> Any:
        return getattr(model, method)(as_trained(model, block))

    part = Part(type(model).__name__, original, step, rows)
    return CompiledForm((NAME,), step, (part,), trees.nbytes)
