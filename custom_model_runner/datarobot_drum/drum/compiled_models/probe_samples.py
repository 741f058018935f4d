"""Samples on which a compiled model is compared with the original, in the forms in which requests arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from datarobot_drum.drum.compiled_models.probe_values import ProbeColumn
from datarobot_drum.drum.tabular.lazy_pandas import pd

BATCH_SIZES = (*([1] * 10), 2, 3, 7, 33, 250, 1000)
_SPECIAL_ROWS = 24
_SINGLE_COLUMNS = 20
"""Columns that are probed each on its own with a missing and an infinite value."""
_SPECIAL = (np.nan, np.inf, -np.inf, 1e308, -1e308, 1e39, 3.5e38)


_TYPES = (
    ("i8", "i8"), ("i8", "f8"), ("f8", "f8"), ("f4", "f4"), ("f4", "f8"), ("f4", "i2"), ("u1", "i8"), ("?", "?"),
    ("?", "f8"), ("?", "i4"), ("f2", "f2"),
)  # fmt: skip
"""Types of alternate columns."""
_LIMITS = {"u1": (0, 255), "i2": (-(2**15), 2**15 - 1), "?": (0, 1), "f2": (-6e4, 6e4)}


class ProbeSamples:
    """Samples of a model's columns.

    Args:
        names: the names of the columns.
        prepare: from a frame to the samples that the model gets for it in a request; raises for rows that are rejected
            before.
        reads_arrays: True if the original takes arrays; its compiled form always does, of columns that are all numbers.
    """

    def __init__(
        self,
        columns: Sequence[ProbeColumn],
        names: Sequence[str],
        prepare: Callable[[pd.DataFrame], Any],
        *,
        reads_arrays: bool,
        seed: int = 0,
    ) -> None:
        self._columns = columns
        self._names = list(names)
        self._prepare = prepare
        self._reads_arrays = reads_arrays
        self._with_arrays = all(column.is_numeric for column in columns)
        self._generator = np.random.default_rng(seed)

    def of_rows(self, rows: int) -> Any:
        """Return ordinary samples in the form that most requests have."""
        cells = self._draw(rows)
        return self._as_array(cells) if self._with_arrays else self._prepare(self._as_frame(cells))

    def to_original(self, data: Any) -> Any:
        """Return samples as the original takes them."""
        if self._reads_arrays or type(data) is not np.ndarray:
            return data
        return self._prepare(pd.DataFrame(data, columns=self._names, copy=False))

    def batches(self) -> Iterator[Any]:
        """Yield ordinary samples: one row at a time, and batches of several sizes."""
        for rows in BATCH_SIZES:
            yield from self._forms(self._draw(rows))
        yield from self._typed()

    def _typed(self) -> Iterator[Any]:
        """Yield samples with numbers of other types than floats, as typed formats have them."""
        columns = self._draw(50)
        for first, second in _TYPES:
            types = [first if position % 2 else second for position in range(len(columns))]
            cells = [_cast(values, kind) for values, kind in zip(columns, types, strict=True)]
            yield from self._prepared(self._as_frame(cells))
            yield from self._prepared(self._as_frame([values[:1] for values in cells]))
            if self._with_arrays and first == second:
                array = np.array(cells)
                yield from (array.T, array[:, :1].T, np.ascontiguousarray(array.T))

    def special(self) -> Iterator[Any]:
        """Yield samples with missing, infinite and very large values, one row at a time and as a batch."""
        for position in range(min(len(self._columns), _SINGLE_COLUMNS)):
            for value in (np.nan, np.inf):
                yield from self._forms(self._with_one(self._draw(1), value, position))
        for value in _SPECIAL:
            yield from self._forms(self._with_special(self._draw(1), value, 0.3))
        yield from self._forms(self._with_special(self._draw(_SPECIAL_ROWS), np.nan, 0.2))

    def _draw(self, rows: int) -> list[np.ndarray]:
        return [column.draw(rows, self._generator) for column in self._columns]

    @staticmethod
    def _with_one(columns: list[np.ndarray], value: float, position: int) -> list[np.ndarray]:
        """Replace the cells of one column: another column must not hide that only this one rejects the value."""
        cells = columns[position]
        columns[position] = np.full(len(cells), value if cells.dtype.kind == "f" else np.nan, cells.dtype)
        return columns

    def _with_special(self, columns: list[np.ndarray], value: float, share: float) -> list[np.ndarray]:
        """Replace a share of the cells, at least one; texts become missing."""
        changed = []
        chosen = self._generator.integers(len(columns))
        for position, cells in enumerate(columns):
            mask = self._generator.random(len(cells)) < share
            mask[:1] |= position == chosen
            cells = cells.copy()
            cells[mask] = value if cells.dtype.kind == "f" else np.nan
            changed.append(cells)
        return changed

    def _forms(self, columns: list[np.ndarray]) -> Iterator[Any]:
        """Yield the samples as each form that requests have."""
        if self._with_arrays:
            yield self._as_array(columns)
        yield from self._prepared(self._as_frame(columns))

    def _prepared(self, frame: pd.DataFrame) -> Iterator[Any]:
        try:
            prepared = self._prepare(frame)
        except Exception:  # the request is rejected before it gets to the model
            return
        yield prepared

    def _as_array(self, columns: list[np.ndarray]) -> np.ndarray:
        """Return the array of a ``NumericTable`` with these columns."""
        return np.array(columns, dtype=np.float64).T

    def _as_frame(self, columns: list[np.ndarray]) -> pd.DataFrame:
        return pd.DataFrame(dict(zip(self._names, columns, strict=True)))


def _cast(cells: np.ndarray, kind: str) -> np.ndarray:
    """Return numbers with another type, clipped to its range; texts as they are."""
    if cells.dtype.kind != "f" or kind in ("f8", "f4"):
        return cells if cells.dtype.kind != "f" else cells.astype(kind)
    low, high = _LIMITS.get(kind, (-1e9, 1e9))
    cast: np.ndarray = np.round(np.clip(cells, low, high)).astype(kind)
    return cast
