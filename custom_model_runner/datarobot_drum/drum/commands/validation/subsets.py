"""Batches of fewer rows than all samples, whose predictions must be those of all samples together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from datarobot_drum.drum.commands.validation.model_under_test import ModelUnderTest
from datarobot_drum.drum.language_predictors.base import Predictions

SINGLE_ROWS, BATCHED_ROWS, BATCH = 25, 105, 7
"""Rows that are predicted alone, rows that are predicted in small batches, and the size of these."""

_DEPENDENT = (
    ". The prediction of a row must not depend on the rows beside it: compute statistics such as means, ranks and "
    "categories in training, and store them with the model"
)
_TYPES = (
    ". The same rows as a table give the same predictions, but the types of csv columns come from the cells of a "
    "request where the model does not know them: set the dtype of each column in the model's code, or declare it"
)


@dataclass(frozen=True)
class Subset:
    """Batches of rows, how they are predicted, and what to do if their predictions differ."""

    name: str
    batches: Sequence[Sequence[int]]
    predict: Callable[[Sequence[int]], Predictions]
    advice: str

    def name_rows(self, batch: Sequence[int]) -> str:
        """Return a subject for a sentence about one of the batches."""
        return f"Row {batch[0] + 1} {self.name}" if len(batch) == 1 else f"Rows {_numbers(batch)} {self.name}"


def subsets(model: ModelUnderTest) -> Iterator[Subset]:
    """Yield single rows and small batches: as parts of the table, then as csv requests if the input is csv."""
    rows = model.rows or 0
    singles = [[position] for position in range(min(rows, SINGLE_ROWS))]
    order = np.random.default_rng(seed=1).permutation(rows)[:BATCHED_ROWS].tolist()
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    ways: list[tuple[str, Callable[[Sequence[int]], Predictions], str]] = [
        ("", lambda batch: model.predict(model.take(batch)), _DEPENDENT)
    ]
    if model.cells is not None:
        ways.append((", as csv", model.predict_csv, _TYPES))
    for suffix, predict, advice in ways:
        yield Subset(f"alone{suffix}", singles, predict, advice)
        yield Subset(f"in batches of {BATCH}{suffix}", batches, predict, advice)


def _numbers(batch: Sequence[int]) -> str:
    return ", ".join(str(position + 1) for position in batch)
