"""Columns of LightGBM, XGBoost, CatBoost and ONNX models: assignment of categories, gaps, errors, declarations."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import onnx
import pandas as pd
import pytest
import xgboost
from onnx import TensorProto, helper

from datarobot_drum.drum.exceptions import ModelLoadError, UnprocessableInput
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from tests.language_predictors.builders import model_settings

ROWS = 300
TARGET = np.tile([0.0, 5.0, 10.0], ROWS // 3)
TOWN = np.array(["Bonn", "Kiel", "Ulm"] * (ROWS // 3))
NUMBER = np.arange(float(ROWS)) % 7


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Any]:
    """Load the model in ``tmp_path``; the argument is its model-metadata.yaml."""
    predictors: list[BasePredictor] = []

    def load(metadata: Any = None) -> BasePredictor:
        predictor = create_predictor(model_settings(tmp_path, metadata=metadata))
        predictors.append(predictor)
        predictor.load()
        return predictor

    yield load
    for predictor in predictors:
        predictor.close()


def predict(predictor: BasePredictor, csv: str) -> np.ndarray:
    payload = StructuredPayload(io.BytesIO(csv.encode()), PayloadFormat.CSV)
    return predictor.predict(predictor.read_input(payload)).values[:, 0]


def test_lightgbm_warns_of_columns_that_may_be_categories_or_numbers(
    loaded: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = pd.DataFrame({"kind": np.arange(ROWS) % 3, "town": pd.Categorical(TOWN)})
    data = lightgbm.Dataset(table, TARGET, categorical_feature=["kind", "town"])
    booster = lightgbm.train({"verbose": -1, "num_threads": 1}, data, 20)
    booster.save_model(tmp_path / "model.txt")
    loaded()
    assert "kind (taken for the categories Bonn, Kiel, Ulm)" in caplog.text
    caplog.clear()
    declared = {"kind": "number", "town": {"type": "category", "categories": ["Bonn", "Kiel", "Ulm"]}}
    predictor = loaded({"inputSchema": declared})
    assert "categories" not in caplog.text
    assert np.array_equal(predict(predictor, "town,kind\nKiel,1\nUlm,2\n"), booster.predict(table[1:3]))


def test_lightgbm_knows_categories_that_training_did_not_use(loaded: Any, tmp_path: Path) -> None:
    rare = pd.Categorical(
        np.where(np.arange(ROWS) == 0, "Ulm", TOWN), categories=["Aue", "Bonn", "Kiel", "Ulm", "Zell"]
    )
    constant = pd.Categorical(["only"] * ROWS)
    table = pd.DataFrame({"x": NUMBER, "constant": constant, "town": rare, "count": np.arange(ROWS) % 3})
    data = lightgbm.Dataset(table, TARGET)
    booster = lightgbm.train({"verbose": -1, "num_threads": 1}, data, 20)
    booster.save_model(tmp_path / "model.txt")
    found = predict(loaded(), table.to_csv(index=False))
    assert np.array_equal(found, booster.predict(table))


@pytest.mark.parametrize("is_declared", [False, True], ids=["stored", "declared"])
@pytest.mark.parametrize("towns", [["Köln", "München", "Ulm"], ["Ä", "Ö", "Ü"], ["京", "大", "東"]], ids=str)
def test_xgboost_finds_categories_that_are_not_ascii(
    loaded: Any, tmp_path: Path, towns: list[str], is_declared: bool, caplog: pytest.LogCaptureFixture
) -> None:
    table = pd.DataFrame({"town": pd.Categorical(np.array(towns * (ROWS // 3))), "x": NUMBER})
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(table, TARGET, enable_categorical=True), 20)
    booster.save_model(tmp_path / "model.json")
    predictor = loaded({"inputSchema": {"town": {"type": "category", "categories": towns}}} if is_declared else None)
    assert is_declared != ("categories cut off" in caplog.text)
    # XGBoost's file has lost whole categories of one letter.
    rows = table[: 3 if is_declared or len(towns[0]) > 1 else 1]
    # By codes: XGBoost itself confuses such categories of one letter in a table.
    codes = rows.assign(town=rows["town"].cat.codes.astype(float))
    matrix = xgboost.DMatrix(codes, feature_types=booster.feature_types, enable_categorical=True)
    assert np.array_equal(predict(predictor, rows.to_csv(index=False)), booster.predict(matrix))


def test_xgboost_file_without_categories_takes_codes_and_warns(
    loaded: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    matrix = xgboost.DMatrix(
        np.column_stack([np.arange(ROWS) % 3, NUMBER]), TARGET, feature_types=["c", "q"], enable_categorical=True
    )
    booster = xgboost.train({"nthread": 1}, matrix, 20)
    booster.save_model(tmp_path / "model.json")
    predictor = loaded()
    assert "0 (categories, taken as their codes)" in caplog.text
    assert np.array_equal(predict(predictor, "a,b\n2,2\n"), booster.predict(matrix)[2:3])
    with pytest.raises(UnprocessableInput, match=r"hold none: a \(row 2: 'Ulm'\)"):
        predict(predictor, "a,b\n2,2\nUlm,2\n")


def test_xgboost_takes_columns_called_as_arguments_of_pandas(loaded: Any, tmp_path: Path) -> None:
    table = pd.DataFrame({"self": pd.Categorical(TOWN), "copy": NUMBER})
    data = xgboost.DMatrix(table, TARGET, enable_categorical=True)
    booster = xgboost.train({"nthread": 1}, data, 5)
    booster.save_model(tmp_path / "model.json")
    assert np.array_equal(predict(loaded(), table.to_csv(index=False)), booster.predict(data))


def test_xgboost_names_columns_with_infinite_numbers_only(loaded: Any, tmp_path: Path) -> None:
    table = pd.DataFrame({"gap": NUMBER, "x": NUMBER})
    xgboost.train({"nthread": 1}, xgboost.DMatrix(table, TARGET), 2).save_model(tmp_path / "model.json")
    with pytest.raises(UnprocessableInput, match=r"takes no infinite numbers, and there are some: x \(row 1: inf\)\."):
        predict(loaded(), "gap,x\n,inf\n")


def catboost_model(table: pd.DataFrame, **features: Any) -> catboost.CatBoostRegressor:
    model = catboost.CatBoostRegressor(
        iterations=20, verbose=0, thread_count=1, one_hot_max_size=9, allow_writing_files=False, **features
    )
    return model.fit(table, TARGET)


def test_catboost_takes_an_empty_cell_for_empty_text_or_as_declared(loaded: Any, tmp_path: Path) -> None:
    table = pd.DataFrame({"town": np.array(["", "unknown", "Ulm"] * (ROWS // 3), dtype=object), "x": NUMBER})
    model = catboost_model(table, cat_features=["town"])
    model.save_model(str(tmp_path / "model.cbm"))
    assert predict(loaded(), "town,x\n,0\n") == model.predict(table.assign(x=0.0)[:1])
    declared = loaded({"inputSchema": {"town": {"type": "text", "missing": "unknown"}}})
    assert predict(declared, "town,x\n,1\n") == model.predict(table[1:2])
    assert predict(loaded({"inputSchema": {"town": "text"}}), "town,x\n,0\n") == model.predict(table[:1])


def test_empty_cell_is_the_category_of_empty_text(loaded: Any, tmp_path: Path) -> None:
    table = pd.DataFrame({"town": pd.Categorical(np.array(["", "Bonn", "Ulm"] * (ROWS // 3)))})
    matrix = xgboost.DMatrix(table, TARGET, enable_categorical=True)
    booster = xgboost.train({"nthread": 1}, matrix, 9)
    booster.save_model(tmp_path / "model.json")
    own = booster.predict(xgboost.DMatrix(table[:2], enable_categorical=True))
    assert np.array_equal(predict(loaded(), 'town\n""\nBonn\n'), own)


@pytest.mark.parametrize("one_hot_max_size", [1, 9])
@pytest.mark.parametrize("as_text", [False, True])
def test_catboost_takes_truth_values_as_training_had_them(
    loaded: Any, tmp_path: Path, one_hot_max_size: int, as_text: bool
) -> None:
    flags = np.arange(ROWS) % 2 == 0
    table = pd.DataFrame({"x": NUMBER, "flag": flags.astype(str).astype(object) if as_text else flags})
    model = catboost.CatBoostRegressor(
        iterations=20, verbose=0, one_hot_max_size=one_hot_max_size, allow_writing_files=False, cat_features=["flag"]
    ).fit(table, flags * 5.0 + NUMBER)
    model.save_model(str(tmp_path / "model.cbm"))
    predictor = loaded()
    own = model.predict(table[:2])
    assert own[0] - own[1] > 1
    assert np.array_equal(predict(predictor, table[:2].to_csv(index=False)), own)
    assert np.array_equal(predict(predictor, table[1:2].to_csv(index=False)), own[1:])
    assert np.array_equal(predictor.predict(table[:2]).values[:, 0], own)


def test_catboost_with_texts_asks_whether_categories_were_booleans(
    loaded: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = np.array(["good day", "bad day", "so so"] * (ROWS // 3))
    table = pd.DataFrame({"flag": TARGET > 0, "text": texts})
    model = catboost.CatBoostRegressor(iterations=20, thread_count=1, verbose=0, allow_writing_files=False)
    model.fit(table, TARGET, cat_features=["flag"], text_features=["text"])
    model.save_model(str(tmp_path / "model.cbm"))
    loaded()
    assert "flag (True and False are taken for texts" in caplog.text
    caplog.clear()
    predictor = loaded({"inputSchema": {"flag": "boolean"}})
    assert "taken for texts" not in caplog.text
    assert np.array_equal(predict(predictor, table.to_csv(index=False)), model.predict(table))


def test_catboost_rejects_embeddings_in_a_csv(loaded: Any, tmp_path: Path) -> None:
    vectors = [[number, number + 1.0] for number in NUMBER]
    table = pd.DataFrame({"x": NUMBER, "vector": vectors})
    model = catboost_model(table, embedding_features=["vector"])
    model.save_model(str(tmp_path / "model.cbm"))
    predictor = loaded()
    assert np.array_equal(predictor.predict(table[:3]).values[:, 0], model.predict(table[:3]))
    with pytest.raises(UnprocessableInput, match="in these columns: vector"):
        predict(predictor, 'x,vector\n1,"[1, 2]"\n')


def test_catboost_trained_on_an_array_takes_columns_by_position(loaded: Any, tmp_path: Path) -> None:
    rows = np.array([[number, town] for number, town in zip(NUMBER, TOWN, strict=True)], dtype=object)
    model = catboost_model(rows, cat_features=[1])
    model.save_model(str(tmp_path / "model.cbm"))
    predictor = loaded()
    assert np.array_equal(predict(predictor, "a,b\n0,Bonn\n1,Kiel\n"), model.predict(rows[:2]))
    with pytest.raises(UnprocessableInput, match="have 1 columns; the model takes 2"):
        predict(predictor, "a\n0\n")


def write_onnx(folder: Path, *inputs: tuple[str, int, list[Any]], nodes: list[Any]) -> None:
    values = [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(nodes, "graph", values, [output])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), folder / "model.onnx")


def town_numbers(source: str, target: str) -> Any:
    """Return the node that maps each town to a number, others to -1."""
    return helper.make_node(
        "LabelEncoder", [source], [target], domain="ai.onnx.ml",
        keys_strings=["01", "Ulm", ""], values_floats=[1.0, 2.0, 3.0], default_float=-1.0,
    )  # fmt: skip


def test_onnx_inputs_of_several_columns_are_filled_in_order(loaded: Any, tmp_path: Path) -> None:
    nodes = [
        town_numbers("town", "t"),
        helper.make_node("Constant", [], ["axes"], value=helper.make_tensor("a", TensorProto.INT64, [1], [1])),
        helper.make_node("ReduceSum", ["numbers", "axes"], ["n"], keepdims=1),
        helper.make_node("Mul", ["t", "n"], ["y"]),
    ]
    write_onnx(
        tmp_path, ("town", TensorProto.STRING, [None, 1]), ("numbers", TensorProto.FLOAT, [None, 2]), nodes=nodes
    )
    predictor = loaded()
    assert predict(predictor, "a,b,c\n01,1,2\n,3,4\nNA,1,1\n").tolist() == [3.0, 21.0, -2.0]
    assert predict(predictor, "a,b,c\n01,1,2\n").tolist() == [3.0]
    with pytest.raises(UnprocessableInput, match="have 2 columns; the model takes 3"):
        predict(predictor, "town,numbers\nUlm,1\n")


def test_onnx_inputs_of_unknown_width_are_rejected_at_load(loaded: Any, tmp_path: Path) -> None:
    write_onnx(
        tmp_path,
        ("wide", TensorProto.FLOAT, [None, 2]),
        ("any", TensorProto.FLOAT, [None, None]),
        nodes=[helper.make_node("Concat", ["wide", "any"], ["y"], axis=1)],
    )
    with pytest.raises(ModelLoadError, match="the number of columns of 'any' is not fixed"):
        loaded()


@pytest.mark.parametrize(
    ("kind", "cells", "message"),
    [
        (TensorProto.BOOL, "True,,False", r"truth values only.*a \(row 2: nan\)"),
        (TensorProto.BOOL, "True,5,False", r"a \(row 2: '?5'?\)"),
        (TensorProto.INT64, "1,,2", r"whole numbers only.*a \(row 2: nan\)"),
        (TensorProto.INT64, "1,2.5", r"whole numbers only.*a \(row 2: 2.5\)"),
        (TensorProto.FLOAT, "1,x", r"numbers only.*a \(row 2: 'x'\)"),
    ],
)
def test_onnx_cells_of_another_type_are_named(loaded: Any, tmp_path: Path, kind: int, cells: str, message: str) -> None:
    nodes = [helper.make_node("Cast", ["a"], ["y"], to=TensorProto.FLOAT)]
    write_onnx(tmp_path, ("a", kind, [None, 1]), nodes=nodes)
    with pytest.raises(UnprocessableInput, match=message):
        predict(loaded(), "a\n" + "".join(f'"{cell}"\n' for cell in cells.split(",")))


def test_declared_text_for_missing_cells_must_be_text(loaded: Any, tmp_path: Path) -> None:
    catboost_model(pd.DataFrame({"x": NUMBER})).save_model(str(tmp_path / "model.cbm"))
    with pytest.raises(Exception, match=r"inputSchema\.x in .* has missing"):
        loaded(json.loads('{"inputSchema": {"x": {"type": "number", "missing": "nan"}}}'))
