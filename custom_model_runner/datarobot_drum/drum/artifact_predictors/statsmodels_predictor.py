"""Pickled results of statsmodels: ``results.save(path)``, or any other pickle of them.

A formula takes the columns that it names, with their types of training. Other models take the columns of ``exog`` in
their order; a constant may be left out, and is then that of training.

================================  ==================================================================
regression, anomaly               ``predict``: the mean
binary                            ``predict`` of Logit, Probit, or GLM with the family Binomial
multiclass                        ``predict`` of MNLogit or OrderedModel: a column per class
================================  ==================================================================

Thread safety: ``predict`` changes nothing; many calls at once.
"""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import statsmodels  # noqa: F401  # without it, the error names the extra

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.class_columns import bind_numbers, require_column_count
from datarobot_drum.drum.artifact_predictors.compression import open_decompressed
from datarobot_drum.drum.artifact_predictors.features import to_matrix
from datarobot_drum.drum.artifact_predictors.load_policy import check_pickle
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.artifact_predictors.model_labels import order_classes
from datarobot_drum.drum.exceptions import ModelLoadError, UnprocessableInput
from datarobot_drum.drum.input_schema.columns import NUMBER, Column, ColumnType, InputSchema
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular.lazy_pandas import pd

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

_BINARY = ("Logit", "Probit")
_MULTICLASS = ("MNLogit", "OrderedModel")
_CONSTANT = Column(ColumnType.NUMBER, is_required=False)
_SCORE_HOOK = "add a custom.py with a score hook"


class StatsmodelsPredictor(ArtifactPredictor):
    name = "statsmodels"
    extensions = ()

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        check_pickle(path, self.policy)
        with artifact_load_errors(path):
            return unpickle(path)

    def accepts(self, model: Any) -> bool:
        return callable(getattr(model, "predict", None)) and hasattr(getattr(model, "model", None), "data")

    def require_fitting_target(self, model: Any, settings: ModelSettings) -> None:
        _require_rows(model)
        kind, target_type = type(model.model).__name__, settings.target_type
        if target_type is TargetType.REGRESSION and kind in (*_BINARY, *_MULTICLASS):
            fitting = TargetType.BINARY if kind in _BINARY else TargetType.MULTICLASS
            raise ModelLoadError(f"{kind} predicts probabilities of classes: give --target-type {fitting.value}.")
        if target_type.has_class_labels and kind not in (*_BINARY, *_MULTICLASS) and not _is_binomial(model):
            raise ModelLoadError(f"{kind} is a regressor: give --target-type regression.")

    def class_names(self, model: Any) -> Sequence[Any] | None:
        return _class_names(model)

    def input_schema(self, model: Any) -> InputSchema:
        if _formula(model):
            return _formula_schema(model.model)
        data = model.model.data
        if not _has_names(model):
            return InputSchema(rest=NUMBER)
        names = _exog_names(model)
        columns = tuple(_CONSTANT if position == data.const_idx else NUMBER for position in range(len(names)))
        return InputSchema(columns, names)

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        predict = _formula_function(model) if _formula(model) else _matrix_function(model)
        if not settings.target_type.has_class_labels or type(model.model).__name__ not in _MULTICLASS:
            return bind_numbers(predict, settings)
        classes = _class_names(model)
        if classes is None:
            return bind_numbers(predict, settings)
        require_column_count(len(classes), settings)
        return bind_numbers(predict, settings, order_classes(classes, settings))


def unpickle(path: Path) -> Any:
    """Load results. A formula is evaluated again meanwhile, with the names ``np`` and ``pd`` of this module."""
    with open_decompressed(path) as file:
        return pickle.load(file)


def _formula(results: Any) -> str:
    return str(getattr(results.model, "formula", None) or "")


def _is_binomial(results: Any) -> bool:
    return type(getattr(results.model, "family", None)).__name__ == "Binomial"


def _has_names(results: Any) -> bool:
    return type(results.model.data).__name__ == "PandasData" and results.model.exog_names is not None


def _exog_names(results: Any) -> tuple[str, ...]:
    """Return the names of ``exog``; numbers for results that were saved without their data, which have no names."""
    names = results.model.exog_names
    if names is None:
        names = range(len(results.params) - (getattr(results.model, "k_extra", 0) or 0))
    return tuple(map(str, names))


def _class_names(results: Any) -> Sequence[Any] | None:
    """Return the classes in the order of the columns; None if the model does not know them."""
    names = getattr(results.model, "_ynames_map", None)
    if isinstance(names, dict) and names:
        return [names[number] for number in sorted(names)]
    labels = getattr(results.model, "labels", None)
    return None if labels is None else list(labels)


def _require_rows(results: Any) -> None:
    """Require a model that predicts each row by its own columns.

    Raises:
        ModelLoadError: it predicts periods, or needs more than the columns.
    """
    model = results.model
    name = type(model).__name__
    if type(model).__module__.startswith("statsmodels.tsa") or name == "PHReg":
        raise ModelLoadError(f"{name} predicts periods or hazards, not rows: {_SCORE_HOOK}.")
    if "exog" not in inspect.signature(results.predict).parameters:
        raise ModelLoadError(f"{name} predicts without columns: {_SCORE_HOOK}.")
    for part in ("offset", "exposure"):
        values = getattr(model, part, None)
        if values is not None and np.any(np.asarray(values) != 0):
            raise ModelLoadError(f"{name} was trained with an {part}, which is no column: {_SCORE_HOOK}.")


def _formula_schema(model: Any) -> InputSchema:
    """Return the columns of the training table that the right side of the formula names."""
    frame = getattr(model.data, "frame", None)
    if frame is None:
        return InputSchema()
    right = model.formula.rpartition("~")[2]
    names = [str(name) for name in frame.columns if _is_named(str(name), right)]
    return InputSchema(tuple(_column_of(frame[name]) for name in names), tuple(names))


def _is_named(name: str, formula: str) -> bool:
    """Return True if a formula has the name, other than as a function or an attribute."""
    return re.search(rf"(?<![\w.]){re.escape(name)}(?![\w(])", formula) is not None


def _column_of(series: Any) -> Column:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return Column(ColumnType.CATEGORY, categories=dtype.categories)
    if pd.api.types.is_bool_dtype(dtype):
        return Column(ColumnType.BOOLEAN)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return Column(ColumnType.DATE, dtype=dtype)
    return NUMBER if pd.api.types.is_numeric_dtype(dtype) else Column(ColumnType.TEXT)


def _formula_function(results: Any) -> Callable[[Any], np.ndarray]:
    """Return a function that evaluates the formula for a table, whose errors are about cells."""

    def predict(data: Any) -> np.ndarray:
        _reject_missing(data)
        try:
            return np.asarray(results.predict(data))
        except Exception as error:
            if type(error).__name__ not in ("PatsyError", "FactorEvaluationError"):
                raise
            raise UnprocessableInput(f"The formula does not take these samples: {_reason(error)}.") from error

    return predict


def _reason(error: Exception) -> str:
    """Return what patsy says of the first wrong cell, without the drawing of its place in the formula."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "rror" in line or "expected" in line), str(error)).rstrip(".")


def _reject_missing(data: Any) -> None:
    missing = data.isna().to_numpy()
    if missing.any():
        row, column = np.argwhere(missing)[0]
        raise UnprocessableInput(
            f"The model takes no missing or unknown values, and there is one: {data.columns[column]} (row {row + 1})."
        )


def _matrix_function(results: Any) -> Callable[[Any], np.ndarray]:
    """Return a function from the columns of ``exog``, in which the constant may be missing."""
    data, names = results.model.data, _exog_names(results)
    width = len(names)
    constant = None if data.const_idx is None else (int(data.const_idx), _constant_value(results))

    def predict(samples: Any) -> np.ndarray:
        matrix = to_matrix(samples, np.float64)
        if constant is not None:
            matrix = _with_constant(matrix, width, *constant)
        if matrix.shape[1] != width:
            raise UnprocessableInput(f"The samples have {matrix.shape[1]} columns; the model takes {width}.")
        if np.isnan(matrix).any():
            row, column = np.argwhere(np.isnan(matrix))[0]
            raise UnprocessableInput(
                f"The model takes no missing numbers, and there is one: {names[column]} (row {row + 1})."
            )
        return np.asarray(results.predict(matrix))

    return predict


def _constant_value(results: Any) -> float:
    exog = getattr(results.model, "exog", None)
    return 1.0 if exog is None else float(exog[0, results.model.data.const_idx])


def _with_constant(matrix: np.ndarray, width: int, position: int, value: float) -> np.ndarray:
    """Return the matrix with the constant, which the samples lack or which has no value in any row."""
    if matrix.shape[1] == width - 1:
        return np.insert(matrix, position, value, axis=1)
    if matrix.shape[1] == width and np.isnan(matrix[:, position]).all():
        matrix = matrix.copy()
        matrix[:, position] = value
    return matrix
