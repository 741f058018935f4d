"""``drum score`` of an input with a header and no rows writes the columns of a prediction and no rows."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from datarobot_drum.drum.commands.score.command import score
from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.settings.arguments import Arguments
from tests.cases import each_case
from tests.language_predictors.builders import write_model

X = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.0, 1.0, 0.0, 1.0]})
EMPTY = X.iloc[:0]

INPUTS: dict[str, Callable[[Path], Any]] = {
    "rows.csv": lambda path: EMPTY.to_csv(path, index=False),
    "rows.parquet": lambda path: pa.parquet.write_table(pa.Table.from_pandas(EMPTY), path),
    "rows.arrow": lambda path: pa.feather.write_feather(pa.Table.from_pandas(EMPTY), path),
    "rows.mtx": lambda path: path.write_text("%%MatrixMarket matrix coordinate real general\n0 2 0\n"),
}


def run(folder: Path, output: str, name: str = "rows.csv", target_type: str = "regression", **more: Any) -> Path:
    model = folder / "model"
    rows = folder / name
    if not rows.exists():
        INPUTS[name](rows)
    arguments = Arguments(
        code_dir=str(model), target_type=target_type, input=str(rows), output=str(folder / output), **more
    )
    assert score(arguments) == 0
    return folder / output


def save(folder: Path, model: Any) -> None:
    (folder / "model").mkdir()
    (folder / "model" / "model.pkl").write_bytes(pickle.dumps(model))


def hook(folder: Path, code: str) -> None:
    (folder / "model").mkdir()
    write_model(folder / "model", custom=code)


@each_case("name", INPUTS)
def test_empty_input_of_every_format_gives_the_header(tmp_path: Path, name: str) -> None:
    save(tmp_path, LinearRegression().fit(X, X["a"]))
    assert run(tmp_path, "out.csv", name).read_text() == "Predictions\n"


@each_case(
    ("model", "target_type", "header"),
    [
        (LogisticRegression().fit(X, ["no", "yes"] * 2), "binary", "no,yes"),
        (LogisticRegression().fit(X, ["c", "a", "b", "c"]), "multiclass", "a,b,c"),
        (LinearRegression().fit(X, X), "regression", "Predictions_0,Predictions_1"),
        (StandardScaler().fit(X), "transform", "a,b"),
    ],
    ids=["binary", "multiclass", "several targets", "transform"],
)
def test_header_is_that_of_other_partitions(tmp_path: Path, model: Any, target_type: str, header: str) -> None:
    save(tmp_path, model)
    assert run(tmp_path, "out.csv", target_type=target_type).read_text() == f"{header}\n"
    X.to_csv(tmp_path / "full.csv", index=False)
    assert run(tmp_path, "full_out.csv", "full.csv", target_type).read_text().splitlines()[0] == header


@each_case("suffix", ["parquet", "arrow"])
@each_case("target_type", ["binary", "textgeneration"])
def test_empty_tables_have_the_types_of_other_partitions(
    tmp_path: Path, suffix: str, target_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET_NAME", "answer")
    if target_type == "binary":
        save(tmp_path, LogisticRegression().fit(X, ["no", "yes"] * 2))
    else:
        hook(tmp_path, "def score(data, model): return [f'text {value}' for value in data['a']]")
    X.to_csv(tmp_path / "full.csv", index=False)
    read = pa.parquet.read_table if suffix == "parquet" else pa.feather.read_table
    empty = read(run(tmp_path, f"empty.{suffix}", target_type=target_type))
    full = read(run(tmp_path, f"full.{suffix}", "full.csv", target_type))
    assert (empty.num_rows, full.num_rows) == (0, 4)
    assert empty.schema == full.schema


def test_hook_that_takes_no_rows_gives_its_own_columns(tmp_path: Path) -> None:
    hook(tmp_path, "def score(data, model): return data[['a']].rename(columns={'a': 'Predictions'}).assign(note='x')")
    assert run(tmp_path, "out.csv").read_text() == "Predictions,note\n"


def test_hook_that_fails_without_rows_gives_the_known_columns(tmp_path: Path) -> None:
    hook(tmp_path, "def score(data, model):\n    assert len(data)\n    return data['a']")
    assert run(tmp_path, "out.csv").read_text() == "Predictions\n"


def test_declared_targets_are_the_header(tmp_path: Path) -> None:
    hook(tmp_path, "def score(data, model):\n    assert len(data)\n    return data")
    (tmp_path / "model" / "model-metadata.yaml").write_text("targetNames: [y1, y2]\n")
    assert run(tmp_path, "out.csv").read_text() == "y1,y2\n"


def test_stream_hook_of_an_empty_input_gives_the_known_columns(tmp_path: Path) -> None:
    hook(tmp_path, "def score_stream(data, model): yield data")
    assert run(tmp_path, "out.csv").read_text() == "Predictions\n"


@each_case(
    ("content", "reason"),
    [(b"", "is empty"), (b"\n", "is empty"), (b'[{"a": 1, "b": 0}]', "like JSON"), (b'{"a": 1}', "like JSON")],
    ids=["no byte", "no header", "JSON list", "JSON object"],
)
def test_input_without_a_header_is_an_error(tmp_path: Path, content: bytes, reason: str) -> None:
    save(tmp_path, LinearRegression().fit(X, np.arange(4)))
    (tmp_path / "rows.csv").write_bytes(content)
    with pytest.raises(UnprocessableInput, match=reason):
        run(tmp_path, "out.csv")
    assert not (tmp_path / "out.csv").exists()
