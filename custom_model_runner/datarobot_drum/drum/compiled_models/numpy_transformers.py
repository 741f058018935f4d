"""Transformers of scikit-learn as the NumPy operations of their ``transform``, in the same order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from datarobot_drum.drum.compiled_models.arrays import (
    columns_of,
    require_finite,
    require_no_infinity,
    require_width,
    to_floats,
    to_numbers,
)
from datarobot_drum.drum.compiled_models.encoders import compile_one_hot_encoder, compile_ordinal_encoder
from datarobot_drum.drum.compiled_models.forms import CannotCompileError, NotCoveredError, Step
from datarobot_drum.drum.compiled_models.original_classes import class_name, outputs_arrays


def compile_transformer(transformer: Any) -> Step:
    """Return the compiled ``transform``.

    Raises:
        CannotCompileError: there is none for this transformer.
    """
    name = class_name(transformer)
    compiler = _COMPILERS.get(name)
    if compiler is None or not outputs_arrays(transformer):
        raise CannotCompileError(f"no compiler for the transformer {type(transformer).__name__}")
    return compiler(transformer)


def _standard_scaler(scaler: Any) -> Step:
    mean, scale, width = scaler.mean_, scaler.scale_, scaler.n_features_in_
    with_mean, with_std = scaler.with_mean, scaler.with_std

    def transform(data: Any) -> np.ndarray:
        values = _scaler_input(data, width)
        if with_mean:
            values -= mean.astype(values.dtype, copy=False)
        if with_std:
            values /= scale.astype(values.dtype, copy=False)
        return values

    return transform


def _min_max_scaler(scaler: Any) -> Step:
    scale, low, width = scaler.scale_, scaler.min_, scaler.n_features_in_
    limits = scaler.feature_range if scaler.clip else None

    def transform(data: Any) -> np.ndarray:
        values = _scaler_input(data, width)
        values *= scale
        values += low
        if limits is not None:
            np.clip(values, *limits, out=values)
        return values

    return transform


def _max_abs_scaler(scaler: Any) -> Step:
    scale, width = scaler.scale_, scaler.n_features_in_

    def transform(data: Any) -> np.ndarray:
        values = _scaler_input(data, width)
        values /= scale
        return values

    return transform


def _robust_scaler(scaler: Any) -> Step:
    center, scale, width = scaler.center_, scaler.scale_, scaler.n_features_in_
    with_centering, with_scaling = scaler.with_centering, scaler.with_scaling

    def transform(data: Any) -> np.ndarray:
        values = _scaler_input(data, width)
        if with_centering:
            values -= center
        if with_scaling:
            values /= scale
        return values

    return transform


def _scaler_input(data: Any, width: int) -> np.ndarray:
    """Return a copy that the scaler may change; scalers keep missing values and reject infinite ones."""
    values = to_floats(data, copy=True)
    require_width(values, width)
    require_no_infinity(values)
    return values


def _pca(pca: Any) -> Step:
    components, mean, width = pca.components_, pca.mean_, pca.n_features_in_
    scale = None
    if pca.whiten:
        scale = np.sqrt(pca.explained_variance_)
        scale[scale < np.finfo(scale.dtype).eps] = np.finfo(scale.dtype).eps

    def transform(data: Any) -> np.ndarray:
        values = to_floats(data)
        require_width(values, width)
        require_finite(values)
        projected: np.ndarray = values @ components.T
        projected -= mean.reshape(1, -1) @ components.T
        if scale is not None:
            projected /= scale
        return projected

    return transform


def _selector(selector: Any) -> Step:
    """Compile a selection of columns, which keeps the type: a tree rounds large integers itself."""
    mask, width = selector.get_support(), selector.n_features_in_

    def transform(data: Any) -> np.ndarray:
        values = to_numbers(data)
        require_width(values, width)
        require_finite(values)
        return values[:, mask]

    return transform


def _function_transformer(transformer: Any) -> Step:
    """Compile the identity, as which a ColumnTransformer has columns that it passes through."""
    if transformer.func is not None or transformer.validate:
        raise CannotCompileError("a FunctionTransformer calls a function of the model's owner")
    return lambda data: data


def _simple_imputer(imputer: Any) -> Step:
    statistics, width = imputer.statistics_, imputer.n_features_in_
    missing = imputer.missing_values
    is_nan = isinstance(missing, float) and np.isnan(missing)
    has_empty_columns = statistics.dtype.kind == "f" and np.isnan(statistics).any()
    if imputer.add_indicator or not is_nan or has_empty_columns:
        raise CannotCompileError("a SimpleImputer with indicators, columns without values or its own missing values")
    return _impute_objects(statistics, width) if statistics.dtype.kind == "O" else _impute_numbers(statistics, width)


def _impute_numbers(statistics: np.ndarray, width: int) -> Step:
    def transform(data: Any) -> np.ndarray:
        values = to_floats(data, copy=True)
        require_width(values, width)
        require_no_infinity(values)
        missing = np.isnan(values)
        if missing.any():
            rows, columns = np.nonzero(missing)
            values[rows, columns] = statistics[columns]
        return values

    return transform


def _impute_objects(statistics: np.ndarray, width: int) -> Step:
    def transform(data: Any) -> np.ndarray:
        values = np.column_stack([cells.astype(object) for cells in columns_of(data)])
        require_width(values, width)
        if any(cell is None for cell in values.flat):
            raise NotCoveredError
        missing = values != values
        if missing.any():
            rows, columns = np.nonzero(missing)
            values[rows, columns] = statistics[columns]
        return values

    return transform


_COMPILERS: dict[str, Callable[[Any], Step]] = {
    "StandardScaler": _standard_scaler,
    "MinMaxScaler": _min_max_scaler,
    "MaxAbsScaler": _max_abs_scaler,
    "RobustScaler": _robust_scaler,
    "PCA": _pca,
    "SelectKBest": _selector,
    "SelectPercentile": _selector,
    "SelectFromModel": _selector,
    "VarianceThreshold": _selector,
    "RFE": _selector,
    "FunctionTransformer": _function_transformer,
    "SimpleImputer": _simple_imputer,
    "OneHotEncoder": compile_one_hot_encoder,
    "OrdinalEncoder": compile_ordinal_encoder,
}
