"""The rows behind a failure, as text for the terminal and the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from datarobot_drum.drum.commands.validation.results import SampleRows
from datarobot_drum.drum.language_predictors.base import Predictions

SHOWN_ROWS = 10
SHOWN_FEATURES = 30
SHOWN_CHARACTERS = 120


def input_rows(samples: Any, positions: Sequence[int], caption: str) -> SampleRows | None:
    """Return rows of a table as the model got them; None if the samples are not a table."""
    if not isinstance(samples, pd.DataFrame):
        return None
    shown = list(positions)[:SHOWN_ROWS]
    rows = [(str(position + 1), *_cells(samples, position)) for position in shown]
    return SampleRows(caption, ("row", *_names(samples)), tuple(rows))


def differing_rows(
    samples: Any,
    first: Predictions,
    second: Predictions,
    positions: Sequence[int],
    names: tuple[str, str],
    numbers: Sequence[int],
) -> SampleRows:
    """Return for each row the output that differs most, both values, and the features if there is a table."""
    rows = []
    for position in list(positions)[:SHOWN_ROWS]:
        output = worst_output(first.values[position], second.values[position])
        pair = (cell_text(first.values[position, output]), cell_text(second.values[position, output]))
        features = _cells(samples, position) if isinstance(samples, pd.DataFrame) else []
        rows.append((str(numbers[position] + 1), first.columns[output], *pair, *features))
    features = _names(samples) if isinstance(samples, pd.DataFrame) else []
    more = f", the first {SHOWN_ROWS} of {len(positions)}" if len(positions) > SHOWN_ROWS else ""
    return SampleRows(f"Rows whose predictions differ{more}", ("row", "output", *names, *features), tuple(rows))


def worst_output(first: np.ndarray, second: np.ndarray) -> int:
    """Return the position of the output that differs most."""
    if first.dtype.kind != "f":
        return int(np.argmax(first != second))
    return int(np.argmax(np.nan_to_num(np.abs(first - second), nan=np.inf)))


def _names(samples: pd.DataFrame) -> list[str]:
    names = [str(name) for name in samples.columns]
    return (
        names if len(names) <= SHOWN_FEATURES else [*names[:SHOWN_FEATURES], f"and {len(names) - SHOWN_FEATURES} more"]
    )


def _cells(samples: pd.DataFrame, position: int) -> list[str]:
    cells = [cell_text(samples.iat[position, column]) for column in range(min(len(samples.columns), SHOWN_FEATURES))]
    return cells if len(samples.columns) <= SHOWN_FEATURES else [*cells, "..."]


def cell_text(value: Any) -> str:
    """Return a value as text for a table."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return "missing"
    text = repr(value.item()) if isinstance(value, np.generic) else str(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
