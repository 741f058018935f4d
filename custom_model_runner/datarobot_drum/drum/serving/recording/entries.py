"""One prediction for the request log: a copy of its rows, which model code can no longer change, and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.serving.recording.masks import ColumnMask
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.numeric_table import NumericTable

if TYPE_CHECKING:
    import pandas

    Features: TypeAlias = NumericTable | pandas.DataFrame

MAX_CELLS = 1_000_000
"""Cells of the largest request that is recorded: their text takes about a second of CPU time."""

_ENTRY_BYTES = 512
"""What an entry takes in the queue beside its cells."""


@dataclass(frozen=True)
class RecordedModel:
    """The model of recorded predictions. ``version`` is that of model-metadata.yaml."""

    name: str
    version: str | None


@dataclass(frozen=True, eq=False)
class RecordEntry:
    """The rows and predictions of one request. ``features`` is None for input that is no table."""

    model: RecordedModel
    request_id: str
    time: float
    features: Features | None
    predictions: Predictions

    @property
    def rows(self) -> int:
        return len(self.predictions.values)

    @property
    def size(self) -> int:
        """The bytes that the entry takes in memory, about."""
        values, extra = self.predictions.values, self.predictions.extra
        return _ENTRY_BYTES + _size(self.features) + int(values.nbytes) + _size(extra)


def count_cells(data: Any) -> int:
    """Return rows times columns of samples; 0 if they are no table."""
    shape = getattr(data, "shape", None) if _is_table(data) else None
    return 0 if shape is None else int(shape[0]) * int(shape[1])


def copy_features(data: Any, mask: ColumnMask) -> Features | None:
    """Return a copy of the columns that may be recorded; None for samples that are no table."""
    if not _is_table(data):
        return None
    names = data.names if isinstance(data, NumericTable) else data.columns
    kept = [position for position, name in enumerate(names) if not mask.hides(name)]
    if isinstance(data, NumericTable):
        return data.select(tuple(kept))
    frame: pandas.DataFrame = data.iloc[:, kept].copy()
    return frame


def copy_predictions(predictions: Predictions) -> Predictions:
    """Return a copy: a model may use its array, or its frame, for the next request."""
    extra = None if predictions.extra is None else predictions.extra.copy()
    return Predictions(predictions.columns, predictions.values.copy(), extra)


def _is_table(data: Any) -> bool:
    return isinstance(data, NumericTable) or type(data) is pd.DataFrame


def _size(table: Any) -> int:
    if table is None:
        return 0
    if isinstance(table, NumericTable):
        return int(table.cells.nbytes)
    return int(table.memory_usage(index=False, deep=True).sum())
