"""Natural results of hooks are tables where their meaning is plain; others are rejected with type and shape."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from datarobot_drum.drum.exceptions import PredictionError
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from tests.cases import each_case
from tests.language_predictors.builders import model_settings, write_model

HEAD = """
from decimal import Decimal
import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import sparse
"""
ROWS = b"a\n1\n2\n3\n"


def load(folder: Path, code: str, target_type: str = "regression", labels: tuple[str, ...] = (), **changes: Any) -> Any:
    write_model(folder, custom=HEAD + code)
    predictor = create_predictor(model_settings(folder, target_type, labels, **changes))
    predictor.load()
    predictor.close()
    return predictor


def predict(predictor: BasePredictor, rows: bytes = ROWS) -> Predictions:
    return predictor.predict(predictor.read_input(StructuredPayload(io.BytesIO(rows), PayloadFormat.CSV)))


ONE_VALUE_PER_ROW = [
    "[1, 2, 3]",
    "(1, 2, 3)",
    "[Decimal('1'), 2.0, np.float32(3)]",
    "[np.array(1), np.array(2), np.array(3)]",
    "data['a'].to_numpy()",
    "data['a'].to_numpy()[:, None]",
    "data['a'].tolist()",
    "data['a']",
    "data['a'].rename(None)",
    "data['a'].rename(None).set_axis([7, 8, 9])",
    "pd.Index([1, 2, 3])",
    "pd.array([1, 2, 3], dtype='Int64')",
    "[[1], [2], [3]]",
    "[np.array([1]), np.array([2]), np.array([3])]",
    "{'Predictions': [1, 2, 3]}",
    "{'any': np.array([1, 2, 3])}",
    "{'any': data['a'].set_axis([7, 8, 9])}",
    "[{'Predictions': 1}, {'Predictions': 2}, {'Predictions': 3}]",
    "pa.table({'Predictions': [1, 2, 3]})",
    "pa.array([1, 2, 3])",
    "sparse.csr_matrix([[1], [2], [3]])",
]


@each_case("expression", ONE_VALUE_PER_ROW)
def test_one_value_per_row_is_the_prediction(tmp_path: Path, expression: str) -> None:
    predictions = predict(load(tmp_path, f"def score(data, model): return {expression}"))
    assert predictions.columns == ("Predictions",)
    assert predictions.values.tolist() == [[1.0], [2.0], [3.0]]
    assert predictions.extra is None


@each_case("expression", ONE_VALUE_PER_ROW)
def test_score_stream_and_post_process_return_the_same_kinds(tmp_path: Path, expression: str) -> None:
    code = f"def score_stream(data, model): yield {expression}"
    (block,) = load(tmp_path, code).predict_stream(StructuredPayload(io.BytesIO(ROWS), PayloadFormat.CSV))
    assert block.values.tolist() == [[1.0], [2.0], [3.0]]
    code = "def score(data, model): return data['a']\ndef post_process(data, model):\n    data['a'] = 1\n"
    code += f"    data = pd.DataFrame({{'a': [1, 2, 3]}})\n    return {expression}"
    assert predict(load(tmp_path, code)).values.tolist() == [[1.0], [2.0], [3.0]]


def test_extra_columns_of_records_are_extra_output(tmp_path: Path) -> None:
    code = "def score(data, model): return [{'Predictions': value, 'note': str(value)} for value in data['a']]"
    predictions = predict(load(tmp_path, code))
    assert predictions.values.tolist() == [[1.0], [2.0], [3.0]]
    assert predictions.extra is not None and predictions.extra["note"].tolist() == ["1", "2", "3"]


POSITIVE = [[0.75, 0.25], [0.5, 0.5], [0.0, 1.0]]


@each_case(
    "expression",
    [
        "[0.25, 0.5, 1]",
        "np.array([0.25, 0.5, 1])",
        "pd.Series([0.25, 0.5, 1])",
        "pd.Series([0.25, 0.5, 1], name='score')",
        "np.array([[0.75, 0.25], [0.5, 0.5], [0, 1]], dtype=np.float32)",
        "[[0.75, 0.25], [0.5, 0.5], [0, 1]]",
        "[(0.75, 0.25), (0.5, 0.5), (0, 1)]",
        "{'yes': [0.25, 0.5, 1], 'no': [0.75, 0.5, 0]}",
        "[{'yes': 0.25, 'no': 0.75}, {'yes': 0.5, 'no': 0.5}, {'yes': 1, 'no': 0}]",
    ],
)
def test_binary_results_are_probabilities_of_the_positive_class_or_of_both(tmp_path: Path, expression: str) -> None:
    predictor = load(tmp_path, f"def score(data, model): return {expression}", "binary", ("no", "yes"))
    predictions = predict(predictor)
    order = [predictions.columns.index(label) for label in ("no", "yes")]
    assert predictions.values[:, order].tolist() == POSITIVE


def test_unnamed_columns_of_a_multiclass_hook_are_in_the_order_of_the_labels(tmp_path: Path) -> None:
    predictor = load(tmp_path, "def score(data, model): return [[0.2, 0.3, 0.5]] * 3", "multiclass", ("b", "c", "a"))
    assert predict(predictor).columns == ("b", "c", "a")


@each_case("labels", [("yes", "no"), ("Yes", "No")], ids=["other order", "other names"])
def test_unnamed_columns_are_rejected_if_the_model_has_another_order(tmp_path: Path, labels: tuple[str, str]) -> None:
    import pickle

    model = DecisionTreeClassifier().fit(np.array([[1], [2]]), ["no", "yes"])
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    code = "def score(data, model): return model.predict_proba(data.to_numpy())"
    assert predict(load(tmp_path, code, "binary", ("no", "yes"))).values[0].tolist() == [1.0, 0.0]
    with pytest.raises(PredictionError, match=r"a ndarray of shape \(3, 2\): it must return a pandas DataFrame"):
        predict(load(tmp_path, code, "binary", labels))


def test_text_of_each_row_is_the_generated_text(tmp_path: Path) -> None:
    predictor = load(
        tmp_path, "def score(data, model): return ['x', 'y', None]", "textgeneration", target_name="answer"
    )
    predictions = predict(predictor)
    assert (predictions.columns, predictions.values.tolist()) == (("answer",), [["x"], ["y"], [None]])


@each_case("expression", ["[[1.5, 2], [3, 4], [5, 6]]", "np.array([[1.5, 2], [3, 4], [5, 6]])"])
def test_points_are_lists(tmp_path: Path, expression: str) -> None:
    predictor = load(tmp_path, f"def score(data, model): return {expression}", "geopoint", target_name="place")
    assert predict(predictor).values.tolist() == [[[1.5, 2]], [[3, 4]], [[5, 6]]]


REJECTED = [
    ("None", "returned None"),
    ("1.5", "returned a float"),
    ("'text'", "returned a str"),
    ("b'text'", "returned a bytes"),
    ("np.float64(1)", r"returned a float64 of shape \(\)"),
    ("np.zeros((3, 2))", r"returned a ndarray of shape \(3, 2\)"),
    ("np.zeros((3, 1, 1))", r"returned a ndarray of shape \(3, 1, 1\)"),
    ("{'Predictions': 1.0}", "returned a dict of 1 items"),
    ("{'a': [1], 'b': [1, 2]}", "returned a dict of 2 items"),
    ("[[1, 2], [3]]", r"returned a list of 2 items \(list first\)"),
    ("[data, data]", r"returned a list of 2 items \(DataFrame first\)"),
    ("(data['a'].to_numpy(), data['a'].to_numpy())", r"returned a tuple of 2 items \(ndarray first\)"),
    ("(value for value in data['a'])", "returned a generator"),
    ("{1, 2, 3}", "returned a set of 3 items"),
]


@each_case(("expression", "found"), REJECTED)
def test_ambiguous_result_is_rejected_with_its_type_and_shape(tmp_path: Path, expression: str, found: str) -> None:
    with pytest.raises(PredictionError, match=f"The hook score {found}: it must return a pandas DataFrame, or one num"):
        predict(load(tmp_path, f"def score(data, model): return {expression}"))


@each_case("expression", ["[1, 2]", "[]", "np.zeros(4)", "{'Predictions': [1]}"])
def test_wrong_number_of_values_is_rejected(tmp_path: Path, expression: str) -> None:
    with pytest.raises(PredictionError, match="rows of predictions for 3 rows of input"):
        predict(load(tmp_path, f"def score(data, model): return {expression}"))


@each_case(
    "expression",
    ["data.to_numpy() * 2", "{'a': data['a'] * 2}", "data['a'] * 2", "[{'a': 2}, {'a': 4}, {'a': 6}]"],
)
def test_transform_results_reach_the_score_hook_as_a_table(tmp_path: Path, expression: str) -> None:
    code = f"def transform(data, model): return {expression}\ndef score(data, model): return data['a']"
    assert predict(load(tmp_path, code)).values.tolist() == [[2.0], [4.0], [6.0]]
