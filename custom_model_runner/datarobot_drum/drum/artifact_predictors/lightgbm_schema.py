"""The input schema of a LightGBM model.

A model stores the categories of its pandas category columns in the order of these columns, but not which columns they
were. ``feature_infos`` helps: the codes of a category column (``-1:0:1:2``), the range of a number column or of an
ordered category column (``[0:2]``), or ``none`` for a constant column. Columns that were declared with
``categorical_feature`` have codes, too, but no stored categories: they are numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from datarobot_drum.drum.artifact_predictors.frameworks import module_roots
from datarobot_drum.drum.input_schema.columns import NUMBER, Column, ColumnType, InputSchema

_UNNAMED = re.compile(r"Column_\d+")
_CATEGORICAL_FEATURE = re.compile(r"^\[categorical_feature: ([\d,]+)\]$", re.MULTILINE)
_RANGE = re.compile(r"\[(-?\d+):(-?\d+)\]")

_EXACT_CODES, _SOME_CODES, _EXACT_RANGE, _INNER_RANGE, _CONSTANT = 8, 7, 3, 2, 1
"""How well a column fits a list of categories: the assignment with the highest sum is taken."""

_SHOWN_CATEGORIES = 3


def input_schema_of(estimator: Any) -> InputSchema | None:
    """Return the columns of a trained ``Booster`` or estimator of LightGBM; None for any other object."""
    if "lightgbm" not in module_roots(estimator):
        return None
    booster = estimator if hasattr(estimator, "feature_name") else getattr(estimator, "booster_", None)
    return None if booster is None else _booster_schema(booster)


def read_header(booster: Any) -> dict[str, str]:
    """Return the key-value pairs before the trees of a model file."""
    return _header_pairs(booster.model_to_string(num_iteration=1))


def _header_pairs(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.split("\n\n", 1)[0].splitlines())
    return {"objective": "", "feature_infos": "", **{key: value for key, _, value in pairs}}


def _booster_schema(booster: Any) -> InputSchema:
    names = booster.feature_name()
    columns = [NUMBER] * booster.num_feature()
    if booster.pandas_categorical:
        text = booster.model_to_string(num_iteration=1)
        found = _CATEGORICAL_FEATURE.search(text)
        declared = {int(position) for position in found[1].split(",")} if found else set()
        traces = [
            _Trace(info, position in declared)
            for position, info in enumerate(_header_pairs(text)["feature_infos"].split())
        ]
        for position, column in _category_columns(traces, booster.pandas_categorical).items():
            columns[position] = column
    is_named = not all(_UNNAMED.fullmatch(name) for name in names)
    return InputSchema(tuple(columns), tuple(names) if is_named else None, accepts_missing=True)


@dataclass(frozen=True)
class _Trace:
    """A column as the model file shows it."""

    info: str
    is_categorical: bool

    def fit(self, count: int) -> int:
        """Return how well the column fits ``count`` categories; 0 if it cannot have been made of them."""
        if self.info == "none":
            return _SOME_CODES if self.is_categorical else _CONSTANT
        if found := _RANGE.fullmatch(self.info):
            low, high = int(found[1]), int(found[2])
            return _EXACT_RANGE if (low, high) == (0, count - 1) else _INNER_RANGE * (0 <= low and high < count)
        if self.info.startswith("["):
            return 0
        codes = {int(code) for code in self.info.split(":")} - {-1}
        if codes == set(range(count)):
            return _EXACT_CODES
        return _SOME_CODES * (min(codes) >= 0 and max(codes) < count)


def _category_columns(traces: Sequence[_Trace], lists: Sequence[Sequence[Any]]) -> dict[int, Column]:
    """Return the column of each list of categories, by position; uncertain ones have a note."""
    positions = _assign(traces, [len(categories) for categories in lists])
    latest = _assign(traces[::-1], [len(categories) for categories in lists[::-1]])
    others = [len(traces) - 1 - position for position in latest[::-1]]
    columns = {}
    for categories, position, other in zip(lists, positions, others, strict=True):
        note = "" if position == other else f"taken for the categories {_show(categories)}"
        columns[position] = Column(ColumnType.CATEGORY, categories=pd.Index(categories), note=note)
    return columns


def _assign(traces: Sequence[_Trace], counts: Sequence[int]) -> list[int]:
    """Return the position of the column of each list, in order, with the best total fit; of equal ones the first."""
    impossible = -1
    # best[k] is the best fit of the lists from k on among the columns from the current position on.
    best = [impossible] * len(counts) + [0]
    is_taken = []
    for trace in reversed(traces):
        fits = [trace.fit(count) for count in counts]
        scores = [fit + best[k + 1] if fit and best[k + 1] != impossible else impossible for k, fit in enumerate(fits)]
        is_taken.append([score != impossible and score >= best[k] for k, score in enumerate(scores)])
        best = [*map(max, scores, best[:-1]), 0]
    positions: list[int] = []
    for position, taken in enumerate(reversed(is_taken)):
        if len(positions) < len(counts) and taken[len(positions)]:
            positions.append(position)
    return positions if len(positions) == len(counts) else list(range(len(counts)))


def _show(categories: Sequence[Any]) -> str:
    shown = ", ".join(map(str, categories[:_SHOWN_CATEGORIES]))
    return f"{shown}, ..." if len(categories) > _SHOWN_CATEGORIES else shown
