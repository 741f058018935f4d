"""Encoders of categories as look-ups: the position of each category in a dict instead of a search in an array."""

from __future__ import annotations

from typing import Any

import numpy as np

from datarobot_drum.drum.compiled_models.arrays import columns_of, require_no_infinity
from datarobot_drum.drum.compiled_models.forms import CannotCompileError, NotCoveredError, Step

UNKNOWN = -1
_NUMBERS = "iuf"
_MAX_EXACT_INTEGER = 2.0**53


class Categories:
    """The categories of a column: texts and missing values, or numbers."""

    def __init__(self, categories: np.ndarray) -> None:
        values = categories.tolist()
        if any(isinstance(value, int | float) and abs(value) >= _MAX_EXACT_INTEGER for value in values):
            raise CannotCompileError("categories that are too large for floats")
        self.is_numeric = categories.dtype.kind in _NUMBERS
        is_text = all(isinstance(value, str) or _is_missing(value) for value in values)
        if not self.is_numeric and not is_text:
            raise CannotCompileError("categories of mixed types")
        self._codes = {value: code for code, value in enumerate(values) if not _is_nan(value)}
        self._nan = next((code for code, value in enumerate(values) if _is_nan(value)), UNKNOWN)

    def encode(self, cells: np.ndarray) -> np.ndarray:
        """Return the position of each cell's category, ``UNKNOWN`` without one.

        Raises:
            NotCoveredError: the cells have another type than the categories, or are infinite.
        """
        if (cells.dtype.kind in _NUMBERS) != self.is_numeric:
            raise NotCoveredError
        if cells.dtype.kind == "f":
            require_no_infinity(cells)
        get, known = self._codes.get, float if self.is_numeric else str
        codes = [
            get(cell, UNKNOWN) if cell.__class__ is known and cell == cell else self._encode_other(cell)
            for cell in cells.tolist()
        ]
        return np.array(codes, dtype=np.intp)

    def _encode_other(self, cell: Any) -> int:
        if _is_nan(cell):
            return self._nan
        if self.is_numeric and type(cell) is int and abs(cell) < _MAX_EXACT_INTEGER:
            return self._codes.get(cell, UNKNOWN)
        raise NotCoveredError


def compile_one_hot_encoder(encoder: Any) -> Step:
    if encoder.sparse_output:
        raise CannotCompileError("a OneHotEncoder with sparse output outside a ColumnTransformer")
    return one_hot_step(encoder)


def one_hot_step(encoder: Any) -> Step:
    """Return the dense form of an encoder, whether its own output is sparse or not."""
    if encoder.handle_unknown not in ("ignore", "error") or encoder.drop_idx_ is not None or _has_infrequent(encoder):
        raise CannotCompileError("a OneHotEncoder that drops or joins categories")
    known = [Categories(categories) for categories in encoder.categories_]
    widths = [len(categories) for categories in encoder.categories_]
    starts, total = np.cumsum([0, *widths[:-1]]).tolist(), sum(widths)
    rejects_unknown, dtype = encoder.handle_unknown == "error", encoder.dtype

    def transform(data: Any) -> np.ndarray:
        columns = list(columns_of(data))
        if len(columns) != len(known):
            raise NotCoveredError
        output = np.zeros((len(columns[0]), total), dtype=dtype)
        for cells, categories, start in zip(columns, known, starts, strict=True):
            codes = categories.encode(cells)
            rows = np.flatnonzero(codes != UNKNOWN)
            if rejects_unknown and len(rows) < len(codes):
                raise NotCoveredError
            output[rows, start + codes[rows]] = 1
        return output

    return transform


def compile_ordinal_encoder(encoder: Any) -> Step:
    if _has_infrequent(encoder):
        raise CannotCompileError("an OrdinalEncoder that joins categories")
    known = [Categories(categories) for categories in encoder.categories_]
    missing = [_missing_positions(categories) for categories in encoder.categories_]
    rejects_unknown, unknown = encoder.handle_unknown == "error", encoder.unknown_value
    encoded_missing, dtype = encoder.encoded_missing_value, encoder.dtype

    def transform(data: Any) -> np.ndarray:
        columns = list(columns_of(data))
        if len(columns) != len(known):
            raise NotCoveredError
        output = np.empty((len(columns[0]), len(known)), dtype=dtype)
        for position, (cells, categories, absent) in enumerate(zip(columns, known, missing, strict=True)):
            codes = categories.encode(cells)
            output[:, position] = codes
            for code in absent:
                output[codes == code, position] = encoded_missing
            is_unknown = codes == UNKNOWN
            if is_unknown.any():
                if rejects_unknown:
                    raise NotCoveredError
                output[is_unknown, position] = unknown
        return output

    return transform


def _missing_positions(categories: np.ndarray) -> list[int]:
    return [code for code, value in enumerate(categories.tolist()) if _is_missing(value)]


def _has_infrequent(encoder: Any) -> bool:
    return bool(getattr(encoder, "_infrequent_enabled", False))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _is_missing(value: Any) -> bool:
    return value is None or _is_nan(value)
