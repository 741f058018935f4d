"""The request log: which columns its files have, what is masked, what is dropped and counted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.serving.recording.entries import RecordedModel
from datarobot_drum.drum.serving.recording.files import RecordFiles
from datarobot_drum.drum.serving.recording.row_recorder import RowRecorder
from datarobot_drum.drum.settings.recording import RecordingParameters

MODEL = RecordedModel("model", "7")


def record(path: Path, *frames: pd.DataFrame, **values: Any) -> dict[str, Any]:
    """Record frames, whose first column a model then overwrites; return the counts."""
    defaults: dict[str, Any] = {
        "slow_seconds": 0.0,
        "record_rate": 1.0,
        "record_mask": "",
        "record_max_size": 0,
        "record_max_files": 20,
        "record_part_seconds": 300.0,
    }
    recorder, worker_ctx = RowRecorder(RecordingParameters(record=str(path), **(defaults | values))), WorkerCtx()
    recorder.start(worker_ctx)
    for frame in frames:
        pending = recorder.begin(MODEL, frame)
        frame.iloc[:, 0] = -1
        if pending is not None:
            pending.finish(Predictions(("no", "yes"), np.full((len(frame), 2), 0.5)))
    worker_ctx.cleanup()
    return recorder.statistics()


def frame() -> pd.DataFrame:
    return pd.DataFrame({"a": [1, 2], " Email": ["x", None], "row": [5, 6], "secret_1": [1, 2]})


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_files_have_the_rows_as_sent_without_masked_columns(tmp_path: Path, ending: str) -> None:
    mixed = pd.DataFrame({"a": ["text", "b"]}, dtype=object)
    counts = record(tmp_path / f"log.{ending}", frame(), mixed, record_mask="email, secret*")
    assert counts == {"rows_written": 4, "rows_queue_full": 0, "rows_failed": 0, "queued": 0}
    (file,) = tmp_path.iterdir()
    table = pd.read_parquet(file) if ending == "parquet" else pd.read_json(file, lines=True)
    assert table["a"].astype(str).tolist() == ["1", "2", "text", "b"]
    assert table["row"].tolist() == [0, 1, 0, 1]
    assert table["input_row"].tolist()[:2] == [5, 6]
    assert set(table["model_version"].astype(str)) == {"7"}
    assert set(table.columns) == {
        *("request_id", "timestamp", "model", "model_version", "row", "a", "input_row"),
        *("prediction_no", "prediction_yes"),
    }


def test_a_path_that_cannot_be_written_drops_and_counts_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    counts = record(tmp_path / "file" / "log.jsonl", frame(), frame())
    assert (counts["rows_written"], counts["rows_failed"]) == (0, 4)
    assert caplog.text.count("The request log drops rows") == 1


def test_old_files_are_deleted_but_none_that_is_written(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    foreign = tmp_path / "log-notes.jsonl"
    foreign.touch()
    _, held = RecordFiles(path, 1).create()
    record(path, *(frame() for _ in range(5)), record_max_size=1, record_max_files=2)
    assert held.exists() and foreign.exists()
    assert len(list(tmp_path.iterdir())) <= 4


def test_a_request_that_is_too_large_is_dropped(tmp_path: Path) -> None:
    counts = record(tmp_path / "log.jsonl", pd.DataFrame(np.zeros((1001, 1000))))
    assert (counts["rows_queue_full"], counts["rows_written"]) == (1001, 0)


def test_each_line_is_a_json_object(tmp_path: Path) -> None:
    record(tmp_path / "log.ndjson", pd.DataFrame({"a": [np.nan], "b": [[1, {"c": "ä"}]]}))
    (file,) = tmp_path.iterdir()
    (line,) = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    assert (line["a"], line["b"]) == (None, [1, {"c": "ä"}])
