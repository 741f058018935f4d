"""``inputSchema`` of model-metadata.yaml: what it may hold, and what hooks then receive."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeRegressor

from datarobot_drum.drum.exceptions import ModelLoadError, StartupError, UnprocessableInput
from datarobot_drum.drum.input_schema.declaration import declare_columns, read_input_schema
from datarobot_drum.drum.settings.model_metadata import read_model_metadata
from tests.cases import each_case
from tests.input_schema.loading import LoadModel, csv_payload, predict_csv

SHOW_TYPES = """
import pandas as pd

def score(data, model):
    cells = data["x"].astype(object).where(data["x"].notna(), "missing")
    return pd.DataFrame({"Predictions": range(len(data)), "type": str(data["x"].dtype), "cell": cells.astype(str)})
"""


@each_case(
    ("declared", "cells", "expected", "dtype"),
    [
        ("text", ["01", "NA", "1.50", "", "True"], ["01", "NA", "1.50", "missing", "True"], "str|object"),
        ("category", ["01", ""], ["01", "missing"], "str|object"),
        ("number", ["1", "NA", ""], ["1.0", "missing", "missing"], "float64"),
        ("boolean", ["True", "", "0"], ["True", "missing", "False"], "object"),
        ("date", ["2024-01-01", ""], ["2024-01-01 00:00:00", "missing"], "datetime64"),
        ({"type": "category", "categories": ["10", "01"]}, ["01", "1", ""], ["01", "missing", "missing"], "category"),
        ({"type": "category", "categories": [2, 1]}, ["1", "02", "3"], ["1", "2", "missing"], "category"),
    ],
    ids=["text", "category", "number", "boolean", "date", "text categories", "number categories"],
)
def test_score_hook_gets_the_declared_types(
    declared: Any, cells: list[str], expected: list[str], dtype: str, load_model: LoadModel
) -> None:
    predictor = load_model(schema={"x": declared}, custom=SHOW_TYPES)
    rows = [csv_payload("x\n" + f'"{cell}"\n') for cell in cells] + [
        csv_payload("x\n" + "".join(f'"{cell}"\n' for cell in cells))
    ]
    extra = [predictor.predict(predictor.read_input(payload)).extra for payload in rows]
    assert [str(frame["cell"].iloc[0]) for frame in extra[:-1] if frame is not None] == _alone(declared, expected)
    assert extra[-1] is not None and extra[-1]["cell"].tolist() == expected
    assert any(extra[-1]["type"].iloc[0].startswith(known) for known in dtype.split("|"))


def _alone(declared: Any, expected: list[str]) -> list[str]:
    """Return the cells of each row alone: whole numbers without a missing cell beside them are integers."""
    return [cell.removesuffix(".0") for cell in expected] if declared == "number" else expected


def test_declared_types_reach_blocks_of_a_stream(load_model: LoadModel) -> None:
    predictor = load_model(schema={"x": "text"}, custom=SHOW_TYPES)
    (block,) = predictor.predict_stream(csv_payload("x\n01\n"))
    assert block.extra["cell"].tolist() == ["01"]  # type: ignore[index, union-attr]


def test_cell_of_another_type_than_declared_is_rejected(load_model: LoadModel) -> None:
    predictor = load_model(schema={"x": "date"}, custom=SHOW_TYPES)
    with pytest.raises(UnprocessableInput, match=r"x \(row 2: 'soon'\)"):
        predict_csv(predictor, "x\n2024-01-01\nsoon\n")


@each_case(
    ("document", "message"),
    [
        (["zip"], "must be a mapping of column names to types, for example"),
        ({"zip": "txt"}, r"inputSchema.zip in model-metadata.yaml has the type 'txt': use .*did you mean text\?"),
        ({"zip": 3}, "has the type 3: use number, text, category, boolean, date, any"),
        ({"zip": {"categories": ["a"]}}, "has no type"),
        ({"zip": {"type": "category", "values": ["a"]}}, "has the unknown key 'values'"),
        ({"zip": {"type": "text", "categories": ["a"]}}, "has categories: its type must be category"),
        ({"zip": {"type": "category", "categories": "a"}}, "must have a list of categories"),
        ({"zip": {"type": "category", "categories": ["a", 1]}}, "categories of several types.*put texts in quotes"),
        ({"zip": {"type": "category", "categories": ["a", "a"]}}, "the same category twice"),
    ],
)
def test_malformed_declaration_is_explained(document: Any, message: str) -> None:
    with pytest.raises(StartupError, match=message):
        read_input_schema({"inputSchema": document})


def test_words_of_yaml_stay_as_written(tmp_path: Path) -> None:
    text = "inputSchema:\n  no: text\n  010: {type: category, categories: [no, yes]}\n  1.0: {type: category, "
    (tmp_path / "model-metadata.yaml").write_text(
        text + "categories: [1, 2]}\n  t: {type: category, categories: [true]}\n"
    )
    schema = read_input_schema(read_model_metadata(tmp_path).document)
    categories = {name: column.categories.tolist() for name, column in schema.items() if column.categories is not None}
    assert list(schema) == ["no", "010", "1.0", "t"]
    assert categories == {"010": ["no", "yes"], "1.0": [1, 2], "t": [True]}


def test_unknown_name_is_logged_with_the_nearest_one(load_model: LoadModel, caplog: pytest.LogCaptureFixture) -> None:
    model = LinearRegression().fit(pd.DataFrame({"amount": [1, 2]}), [1, 2])
    load_model(model, {"Amount": "number", "xyz": "text"})
    messages = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert [message.partition("the model does not have: ")[2] for message in messages] == [
        "did you mean 'amount'?",
        "its columns are amount.",
    ]


def test_model_of_texts_with_several_declared_columns_is_refused(load_model: LoadModel) -> None:
    model = make_pipeline(TfidfVectorizer(), DecisionTreeRegressor()).fit(["good", "bad"], [1, 0])
    with pytest.raises(ModelLoadError, match=r"takes one column of texts, and inputSchema .* declares 2: id, review"):
        load_model(model, {"id": "number", "review": "text"})


def select_length(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"length": table["zip"].str.len()})


def test_declared_type_serves_a_model_that_does_not_know_its_own(load_model: LoadModel) -> None:
    table = pd.DataFrame({"zip": ["1", "01", "001"]})
    model = make_pipeline(FunctionTransformer(select_length), DecisionTreeRegressor()).fit(table, [1, 2, 3])
    predictor = load_model(model, {"zip": "text"})
    assert [predict_csv(predictor, f"zip\n{cell}\n") for cell in ("1", "01", "001")] == [[1], [2], [3]]


def test_declared_booleans_with_gaps_are_numbers_for_a_model_of_numbers(load_model: LoadModel) -> None:
    table = pd.DataFrame({"flag": [True, False] * 20, "x": range(40)})
    model = LGBMRegressor(n_estimators=5, min_child_samples=1, verbose=-1).fit(table, table["flag"] * 5.0)
    predictor = load_model(model, schema={"flag": "boolean"})
    own = model.predict(pd.DataFrame({"flag": [1.0, np.nan], "x": [1, 1]}))
    assert np.array_equal(predict_csv(predictor, "flag,x\nTrue,1\n,1\n"), own)
    assert np.array_equal(predict_csv(predictor, "flag,x\n,1\n"), own[1:])
    linear = load_model(LinearRegression().fit(table, table["x"]), schema={"flag": "boolean"})
    with pytest.raises(UnprocessableInput, match=r"takes no missing or infinite numbers, .*: flag \(row 2: nan\)"):
        predict_csv(linear, "flag,x\nTrue,1\n,1\n")


@pytest.mark.parametrize(
    ("kind", "cell", "expected"), [("TXT", "01", "01"), ("DATE", "2024-01-02", "2024-01-02 00:00:00")]
)
def test_type_schema_of_one_kind_declares_all_columns(
    kind: str, cell: str, expected: str, load_model: LoadModel
) -> None:
    requirement = {"field": "data_types", "condition": "EQUALS", "value": kind}
    predictor = load_model(custom=SHOW_TYPES, metadata={"typeSchema": {"input_requirements": [requirement]}})
    extra = predictor.predict(predictor.read_input(csv_payload(f"x\n{cell}\n"))).extra
    assert extra is not None and extra["cell"].tolist() == [expected]


def test_training_table_is_declared_by_its_types() -> None:
    table = pd.DataFrame(
        {
            "zip": ["01", None],
            "age": [1, 2],
            "rate": [0.5, None],
            "member": [True, False],
            "answer": pd.Series([True, None], dtype=object),
            "day": pd.to_datetime(["2024-01-01", None]),
            "size": pd.Categorical(["S", "M"], categories=["S", "M", "L"]),
            "empty": [None, None],
            "mixed": pd.Series(["a", 1], dtype=object),
        }
    )
    assert declare_columns(table) == {
        "zip": "text",
        "age": "number",
        "rate": "number",
        "member": "boolean",
        "answer": "boolean",
        "day": "date",
        "size": {"type": "category", "categories": ["S", "M", "L"]},
        "empty": "any",
        "mixed": "any",
    }
