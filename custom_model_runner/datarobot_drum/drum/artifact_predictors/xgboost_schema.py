"""The input schema of an XGBoost model: feature types, and the categories that XGBoost stores since version 3.1."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from datarobot_drum.drum.artifact_predictors.frameworks import module_roots
from datarobot_drum.drum.input_schema.columns import NUMBER, Column, ColumnType, InputSchema

_CATEGORY_CODES = Column(ColumnType.NUMBER, note="categories, taken as their codes")
"""A category column without stored categories: a file of an older version, or a model trained on codes."""

_PRIVATE_USE = 0xF0000
"""The first of the characters that no category contains; they fill up categories that are cut off."""

_INTEGER_TYPES = {9: "i1", 10: "u1", 11: "i2", 12: "u2", 13: "i4", 14: "u4", 15: "i8", 16: "u8"}
"""NumPy types by the numbers that XGBoost stores."""


def input_schema_of(estimator: Any) -> InputSchema | None:
    """Return the columns of a trained ``Booster`` or estimator of XGBoost; None for any other object."""
    if "xgboost" not in module_roots(estimator):
        return None
    booster = _find_booster(estimator)
    if booster is None:
        return None
    types = booster.feature_types or []
    columns = [NUMBER] * booster.num_features()
    if "c" in types:
        stored = _stored_categories(booster)
        for position, kind in enumerate(types):
            if kind == "c":
                columns[position] = stored.get(position, _CATEGORY_CODES)
    names = booster.feature_names
    return InputSchema(tuple(columns), None if names is None else tuple(names), accepts_missing=True)


def _find_booster(estimator: Any) -> Any:
    if not hasattr(estimator, "get_booster"):
        return estimator if hasattr(estimator, "feature_types") else None
    try:
        return estimator.get_booster()
    except ValueError:  # not fitted
        return None


def _stored_categories(booster: Any) -> dict[int, Column]:
    """Return the category columns with stored categories, by position."""
    # Booster.get_categories needs PyArrow.
    gradient_booster = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]
    model = gradient_booster.get("gbtree", gradient_booster).get("model", {})
    stored = model.get("cats", {}).get("enc", [])
    return {position: _category_column(item) for position, item in enumerate(stored) if item.get("values")}


def _category_column(stored: Mapping[str, Any]) -> Column:
    if "offsets" in stored:
        return _text_column(bytes(value & 0xFF for value in stored["values"]), stored["offsets"])
    dtype = np.dtype(_INTEGER_TYPES.get(stored["type"], "i8"))
    return Column(ColumnType.CATEGORY, categories=pd.Index(np.array(stored["values"], dtype=dtype)))


def _text_column(content: bytes, offsets: Sequence[int]) -> Column:
    """Return a column of text categories.

    XGBoost 3 counts the offsets of pandas categories in characters, although the content is UTF-8. Then the content
    ends too early, and the last categories are cut off.
    """
    spans = list(pairwise(offsets))
    categories = _decode_spans(content, spans)
    if categories is None or not (content.isascii() or categories == sorted(categories)):
        return _text_column_of_characters(content.decode("utf-8", "ignore"), spans)
    return Column(ColumnType.CATEGORY, categories=pd.Index(categories))


def _decode_spans(content: bytes, spans: Sequence[tuple[int, int]]) -> list[str] | None:
    try:
        return [content[start:end].decode() for start, end in spans]
    except UnicodeDecodeError:
        return None


def _text_column_of_characters(text: str, spans: Sequence[tuple[int, int]]) -> Column:
    starts = [text[start:end] for start, end in spans]
    lengths = [end - start for start, end in spans]
    pairs = list(zip(starts, lengths, strict=True))
    cut_off = {code: pair for code, pair in enumerate(pairs) if len(pair[0]) < pair[1]}
    truncated = {code: pair for code, pair in cut_off.items() if pair[0] and pairs.count(pair) == 1}
    # XGBoost encodes a category of the same start and length like that of the training.
    categories = [start.ljust(length, chr(_PRIVATE_USE + code)) for code, (start, length) in enumerate(pairs)]
    note = f"the file has the last {len(cut_off)} categories cut off" if cut_off else ""
    return Column(ColumnType.CATEGORY, categories=pd.Index(categories), note=note, truncated=truncated)
