"""What holds for every model and table: a row gets the same prediction alone, in any batch and by every way."""

import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow as pa

from datarobot_drum.drum.commands.input_file import InputFile
from datarobot_drum.drum.commands.score.structured import score_rows
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.batch_concat import concat, concat_key

EXAMPLES = int(os.environ.get("DRUM_TEST_TABLES", "3"))
"""Generated tables per model."""

STREAMED_ROWS = 2
"""Rows per block of a streamed prediction, so that small tables have several blocks."""

Predict = Callable[[BasePredictor, pd.DataFrame], np.ndarray]


def check_rows_equal_batch(
    predictor: BasePredictor, cells: pd.DataFrame, expected: np.ndarray, typed: pd.DataFrame | None = None
) -> None:
    """Predict every row alone, in batches and by every way, and compare bit by bit.

    Args:
        cells: the cells of the csv, as they are written; an empty text is a missing cell.
        expected: a prediction or a row of predictions for each row.
        typed: the same rows as a table with types, such as a Parquet file has.
    """
    expected = np.asarray(expected, dtype=np.float64).reshape(len(cells), -1)
    _check(predict_csv, predictor, cells, expected, _subsets(len(cells)))
    few = _subsets(len(cells))[:2]
    for predict in (predict_stream, predict_file, predict_batched):
        _check(predict, predictor, cells, expected, few)
    if typed is not None:
        _check(predict_table, predictor, typed, expected, _subsets(len(typed)))
        _check(predict_parquet, predictor, typed, expected, few)
        _check(predict_arrow, predictor, typed, expected, few)
        _check(predict_json, predictor, typed, expected, _subsets(len(typed)))
        _check(predict_json_lines, predictor, typed, expected, few)


def _check(
    predict: Predict, predictor: BasePredictor, table: pd.DataFrame, expected: np.ndarray, subsets: list[list[int]]
) -> None:
    for rows in subsets:
        part = table.iloc[rows].reset_index(drop=True)
        found = predict(predictor, part)
        if not np.array_equal(found, expected[rows], equal_nan=True):
            raise AssertionError(
                f"{predict.__name__}: {found.tolist()} instead of {expected[rows].tolist()} for\n{part}"
            )


def predict_csv(predictor: BasePredictor, cells: pd.DataFrame) -> np.ndarray:
    return predictor.predict(predictor.read_input(_payload(cells))).values


def predict_stream(predictor: BasePredictor, cells: pd.DataFrame) -> np.ndarray:
    with patch("datarobot_drum.drum.language_predictors.python_model.BLOCK_ROWS", STREAMED_ROWS):
        return _join(predictor.predict_stream(_payload(cells)))


def predict_file(predictor: BasePredictor, cells: pd.DataFrame) -> np.ndarray:
    """Predict as ``drum score`` does."""
    return _score(predictor, "rows.csv", to_csv(cells))


def predict_batched(predictor: BasePredictor, cells: pd.DataFrame) -> np.ndarray:
    """Predict requests of one row each, concatenated where their samples are compatible."""
    samples = [predictor.read_input(_payload(cells.iloc[[row]])) for row in range(len(cells))]
    keys = [concat_key(sample) for sample in samples]
    values: dict[int, np.ndarray] = {}
    for key in dict.fromkeys(keys):
        members = [row for row, other in enumerate(keys) if other == key and key is not None]
        if members:
            values |= dict(
                zip(members, predictor.predict(concat([samples[row] for row in members])).values, strict=True)
            )
    alone = {row: predictor.predict(samples[row]).values[0] for row in range(len(cells)) if row not in values}
    return np.array([(values | alone)[row] for row in range(len(cells))])


def predict_table(predictor: BasePredictor, table: pd.DataFrame) -> np.ndarray:
    return predictor.predict(predictor.check_samples(table)).values


def predict_parquet(predictor: BasePredictor, table: pd.DataFrame) -> np.ndarray:
    content = io.BytesIO()
    table.to_parquet(content)
    return _score(predictor, "rows.parquet", content.getvalue())


def predict_arrow(predictor: BasePredictor, table: pd.DataFrame) -> np.ndarray:
    """Predict a request body of several record batches."""
    content = io.BytesIO()
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    with pa.ipc.new_stream(content, arrow.schema) as writer:
        writer.write_table(arrow, max_chunksize=STREAMED_ROWS)
    return predict_body(predictor, content.getvalue(), PayloadFormat.ARROW)


def predict_json(predictor: BasePredictor, table: pd.DataFrame) -> np.ndarray:
    return predict_body(predictor, json.dumps(to_records(table)).encode(), PayloadFormat.JSON)


def predict_json_lines(predictor: BasePredictor, table: pd.DataFrame) -> np.ndarray:
    """Predict a stream of JSON lines, block by block."""
    lines = "".join(f"{json.dumps(record)}\n" for record in to_records(table))
    payload = StructuredPayload(io.BytesIO(lines.encode()), PayloadFormat.JSON_LINES)
    with patch("datarobot_drum.drum.language_predictors.python_model.BLOCK_ROWS", STREAMED_ROWS):
        return _join(predictor.predict_stream(payload))


def predict_body(predictor: BasePredictor, body: bytes, payload_format: PayloadFormat) -> np.ndarray:
    return predictor.predict(predictor.read_input(StructuredPayload(io.BytesIO(body), payload_format))).values


def to_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as JSON has them: dates as text, missing cells as null."""
    return [
        {str(name): _to_json_value(cell) for name, cell in zip(table.columns, row, strict=True)}
        for row in table.astype(object).itertuples(index=False, name=None)
    ]


def _to_json_value(cell: Any) -> Any:
    if pd.isna(cell):
        return None
    cell = cell.item() if isinstance(cell, np.generic) else cell
    return cell if isinstance(cell, bool | int | float | str) else str(cell)


def to_csv(cells: pd.DataFrame) -> bytes:
    content: str = cells.to_csv(index=False)
    return content.encode()


def _payload(cells: pd.DataFrame) -> StructuredPayload:
    return StructuredPayload(io.BytesIO(to_csv(cells)), PayloadFormat.CSV)


def _score(predictor: BasePredictor, name: str, content: bytes) -> np.ndarray:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        return _join(score_rows(predictor, InputFile(Path(name), file), "utf-8", lambda *_: None))


def _join(chunks: Iterator[object]) -> np.ndarray:
    blocks = [chunk.values for chunk in chunks if isinstance(chunk, Predictions)]
    return np.concatenate(blocks)


def _subsets(count: int) -> list[list[int]]:
    """Return the whole table, each row alone, the halves, every other row, and the rows in reverse."""
    rows = list(range(count))
    subsets = [rows, *([row] for row in rows), rows[: count // 2], rows[count // 2 :], rows[::2], rows[::-1]]
    return [list(subset) for subset in dict.fromkeys(map(tuple, subsets)) if subset]


def train_target(columns: Sequence[pd.Series]) -> np.ndarray:
    """Return a target that depends on every column, missing cells included."""
    effects = [pd.factorize(column.astype(str))[0] * 10.0**-place for place, column in enumerate(columns)]
    return np.asarray(np.sum(effects, axis=0))
