"""The flat table of the request log: one line a row, with feature columns, prediction columns and those of the request.

The predictions of one column are ``prediction``; those of several, such as classes, ``prediction_<name>``; extra model
output is ``extra_<name>``. A feature whose name is taken by one of these is ``input_<name>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.serving.recording.entries import RecordEntry
from datarobot_drum.drum.serving.recording.masks import ColumnMask
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.numeric_table import NumericTable

if TYPE_CHECKING:
    import pandas

REQUEST_COLUMNS = ("request_id", "timestamp", "model", "model_version", "row")
PREDICTION = "prediction"


def to_table(entry: RecordEntry, mask: ColumnMask) -> pandas.DataFrame:
    """Return the lines of one entry."""
    rows = entry.rows
    columns: dict[str, Any] = {
        "request_id": [entry.request_id] * rows,
        "timestamp": pd.Series([pd.Timestamp(entry.time, unit="s", tz="UTC").as_unit("us")] * rows),
        "model": [entry.model.name] * rows,
        "model_version": pd.Series([entry.model.version] * rows, dtype=object),
        "row": range(rows),
    }
    answer = {
        written: cells for name, written, cells in _answer(entry) if not (mask.hides(name) or mask.hides(written))
    }
    answer = {name: cells for name, cells in answer.items() if name not in columns}
    for name, cells in _features(entry):
        columns[_free_name(name, (columns, answer))] = cells
    return pd.DataFrame(columns | answer, copy=False)


def _answer(entry: RecordEntry) -> Iterator[tuple[str, str, Any]]:
    """Yield name, written name and cells of each column of the predictions."""
    predictions = entry.predictions
    is_single = len(predictions.columns) == 1
    for position, name in enumerate(predictions.columns):
        yield name, PREDICTION if is_single else f"{PREDICTION}_{name}", predictions.values[:, position]
    if predictions.extra is not None:
        for label, cells in predictions.extra.items():
            yield str(label), f"extra_{label}", cells.reset_index(drop=True)


def _features(entry: RecordEntry) -> Iterator[tuple[str, Any]]:
    features = entry.features
    if features is None or features.shape[0] != entry.rows:
        return
    frame: Any = features.to_frame() if isinstance(features, NumericTable) else features
    for position, name in enumerate(frame.columns):
        yield str(name), frame.iloc[:, position].reset_index(drop=True)


def _free_name(name: str, taken: Iterable[dict[str, Any]]) -> str:
    while any(name in columns for columns in taken):
        name = f"input_{name}"
    return name
