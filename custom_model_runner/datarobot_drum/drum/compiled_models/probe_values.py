"""Values with which each column of a model is probed: around its training range, its categories, and unseen ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from datarobot_drum.drum.compiled_models.forms import CannotCompileError
from datarobot_drum.drum.tabular.lazy_pandas import pd

_PLAIN = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-3, 100.0, -1e6, 1e-300)
_UNSEEN = ("unseen category", "")


@dataclass
class ProbeColumn:
    """The values of a column: ``center`` and ``spread`` of its numbers, or texts."""

    center: float = 0.0
    spread: float = 3.0
    numbers: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    is_numeric: bool = True

    def draw(self, rows: int, generator: np.random.Generator) -> np.ndarray:
        """Return cells that the model may get, without missing ones."""
        if not self.is_numeric:
            return generator.choice(np.array([*self.texts, *_UNSEEN], dtype=object), rows)
        near = generator.normal(self.center, self.spread, rows)
        special = generator.choice(np.array([*_PLAIN, *self.numbers]), rows)
        return np.where(generator.random(rows) < 0.7, near, special)


def probe_columns(estimator: Any) -> list[ProbeColumn]:
    """Return a column for each of the model.

    Raises:
        CannotCompileError: the number of columns is not known.
    """
    width = _width(estimator)
    if width is None:
        raise CannotCompileError("the number of the model's columns is not known")
    columns = [ProbeColumn() for _ in range(int(width))]
    _visit(estimator, columns)
    return columns


def _width(estimator: Any) -> int | None:
    """Return the number of columns of an estimator, or of the first step of a pipeline that knows it."""
    count = getattr(estimator, "num_features", None) or getattr(estimator, "num_feature", None)
    if callable(count):  # a native model of XGBoost or LightGBM
        return int(count())
    steps = [step for _, step in getattr(estimator, "steps", ())]
    return next((part.n_features_in_ for part in (estimator, *steps) if hasattr(part, "n_features_in_")), None)


def add_sample(columns: Sequence[ProbeColumn], frame: Any) -> None:
    """Add the values of a sample, such as that of the warm-up; a sparse matrix adds none."""
    if hasattr(frame, "tocsr") or getattr(frame, "ndim", 0) != 2:
        return
    frame = frame if isinstance(frame, pd.DataFrame) else pd.DataFrame(frame)
    for position, column in enumerate(columns[: frame.shape[1]]):
        for value in frame.iloc[:1000, position].tolist():
            if isinstance(value, str) and not column.is_numeric:
                column.texts.append(value)
            elif isinstance(value, int | float) and column.is_numeric and np.isfinite(value):
                column.numbers.append(float(value))


def _visit(part: Any, columns: Sequence[ProbeColumn]) -> None:
    """Read the ranges and categories of the columns from a fitted estimator."""
    if steps := getattr(part, "steps", None):
        for _, step in steps:
            _visit(step, columns)
            if type(step).__name__ != "SimpleImputer":
                return
    elif hasattr(part, "transformers_"):
        positions = getattr(part, "_transformer_to_input_indices", {})
        for name, transformer, _ in part.transformers_:
            _visit(transformer, [columns[position] for position in positions.get(name, ())])
    else:
        _read_categories(part, columns)
        _read_range(part, columns)


def _read_categories(part: Any, columns: Sequence[ProbeColumn]) -> None:
    found = getattr(part, "categories_", None)
    if isinstance(found, list) and len(found) == len(columns):
        for column, categories in zip(columns, found, strict=True):
            column.is_numeric = categories.dtype.kind in "iufb"
            values = [value for value in categories.tolist() if value is not None and value == value]
            if column.is_numeric:
                column.numbers += map(float, values)
            else:
                column.texts += map(str, values)
    statistics = getattr(part, "statistics_", None)
    if statistics is not None and statistics.dtype.kind == "O":
        for column in columns:
            column.is_numeric = False


def _read_range(part: Any, columns: Sequence[ProbeColumn]) -> None:
    centers = _numbers(part, ("mean_", "center_", "statistics_"), len(columns))
    spreads = _numbers(part, ("scale_",), len(columns))
    low, high = _numbers(part, ("data_min_",), len(columns)), _numbers(part, ("data_max_",), len(columns))
    for position, column in enumerate(columns):
        if low is not None and high is not None:
            column.center = (low[position] + high[position]) / 2
            column.spread = (high[position] - low[position]) / 2 or 1.0
            column.numbers += [low[position], high[position]]
            continue
        if centers is not None:
            column.center = centers[position]
        if spreads is not None:
            column.spread = 2 * spreads[position] or 1.0
        column.numbers += [column.center, column.center - column.spread, column.center + column.spread]


def _numbers(part: Any, names: tuple[str, ...], width: int) -> list[float] | None:
    for name in names:
        values = getattr(part, name, None)
        if isinstance(values, np.ndarray) and values.shape == (width,) and values.dtype.kind == "f":
            return [float(value) if np.isfinite(value) else 0.0 for value in values]
    return None
