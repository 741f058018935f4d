"""Results of hooks and artifacts are accepted or rejected, for every target type."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.artifact_predictors.base import ArtifactOutput
from datarobot_drum.drum.exceptions import PredictionError
from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.language_predictors.output_checks import check_artifact_output, check_frame, to_frame
from tests.cases import each_case
from tests.language_predictors.builders import model_settings

ROOT = Path()


def check(
    frame: Any, target_type: str = "regression", labels: tuple[str, ...] = (), rows: int | None = None, **changes: Any
) -> Predictions:
    settings = model_settings(ROOT, target_type, labels, **changes)
    return check_frame(pd.DataFrame(frame), settings, rows, "score")


@each_case(
    ("column", "values"),
    [
        pytest.param([1.5, 2.0], [1.5, 2.0], id="floats"),
        pytest.param([1, 2], [1.0, 2.0], id="ints"),
        pytest.param([True, False], [1.0, 0.0], id="bools"),
        pytest.param(np.array([0.1], dtype=np.float32), [float(np.float32(0.1))], id="float32 widened"),
        pytest.param(np.array([0.5], dtype=np.float16), [0.5], id="float16"),
        pytest.param(pd.array([1, 2], dtype="Int64"), [1.0, 2.0], id="nullable"),
        pytest.param(pd.Series([0.0, 3.0], dtype=pd.SparseDtype(float, 0)), [0.0, 3.0], id="sparse"),
        pytest.param(pd.Series([1, 2], dtype="category"), [1.0, 2.0], id="category of numbers"),
        pytest.param(pd.Series([1, 2.5, Decimal("0.5"), np.float64(3)], dtype=object), [1, 2.5, 0.5, 3], id="objects"),
        pytest.param([np.inf, -np.inf], [np.inf, -np.inf], id="infinities"),
    ],
)
def test_regression_accepts_any_numeric_type(column: Any, values: list[float]) -> None:
    predictions = check({"Predictions": column})
    assert predictions.columns == ("Predictions",)
    assert predictions.values.dtype == np.float64
    assert predictions.values.flags.c_contiguous
    assert predictions.values[:, 0].tolist() == values
    assert predictions.extra is None


@each_case(
    "column",
    [[np.nan, 1.0], pd.array([None, 1], dtype="Int64"), pd.Series([None, 1], dtype=object), [pd.NA, 1.0]],
    ids=["NaN", "nullable", "None", "NA"],
)
def test_missing_numbers_are_nan(column: Any) -> None:
    values = check({"Predictions": column}).values[:, 0]
    assert np.isnan(values[0])
    assert values[1] == 1


@each_case(
    ("column", "reason"),
    [
        (["1.5", "x"], "'1.5' in column 'Predictions'"),
        ([1j, 2j], "must be numeric"),
        ([[1], [2]], "must be numeric"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "must be numeric"),
        (pd.Series([10**400], dtype=object), "too large"),
    ],
    ids=["text", "complex", "lists", "dates", "too large"],
)
def test_regression_rejects_non_numeric_columns(column: Any, reason: str) -> None:
    with pytest.raises(PredictionError, match=reason):
        check({"Predictions": column})


@each_case(
    ("columns", "extra"),
    [
        pytest.param(["y"], None, id="any name when alone"),
        pytest.param([0], None, id="a number when alone"),
        pytest.param(["a", "Predictions", "b"], ["a", "b"], id="by name"),
        pytest.param(["target", 1], ["1"], id="the target's name"),
        pytest.param(["target", "Predictions"], ["target"], id="Predictions first"),
    ],
)
def test_prediction_column_is_found_by_name(columns: list[Any], extra: list[str] | None) -> None:
    frame = {name: [7.0 if name in ("Predictions", "y", 0) else 8.0] for name in columns}
    predictions = check(frame, target_name="target")
    assert predictions.columns == ("Predictions",)
    assert predictions.values.tolist() in ([[7.0]], [[8.0]])
    assert (predictions.extra is None) if extra is None else (list(predictions.extra.columns) == extra)  # type: ignore[union-attr]


@each_case(
    ("frame", "reason"),
    [
        pytest.param({"a": [1], "b": [2]}, "'a', 'b'.*named 'Predictions'", id="no Predictions"),
        pytest.param(pd.DataFrame(index=[0]), "without columns", id="no columns"),
        pytest.param(pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than one column of the name 'a'", id="twice"),
        pytest.param(pd.DataFrame([[1, 2]], columns=[1, "1"]), "more than one column of the name '1'", id="as text"),
    ],
)
def test_ambiguous_columns_are_rejected(frame: Any, reason: str) -> None:
    with pytest.raises(PredictionError, match=reason):
        check(frame)


@each_case(
    ("names", "labels"),
    [
        pytest.param(["yes", "no"], ("no", "yes"), id="text"),
        pytest.param([1, 0], ("0", "1"), id="int"),
        pytest.param([1.0, 0.0], ("0", "1"), id="float"),
        pytest.param([True, False], ("0", "1"), id="bool"),
        pytest.param([True, False], ("False", "True"), id="bool as text"),
        pytest.param(["1.0", "0.0"], ("0", "1"), id="float text"),
        pytest.param([" yes", "no "], ("no", "yes"), id="blanks"),
        pytest.param(["是", "否"], ("否", "是"), id="unicode"),
    ],
)
def test_columns_are_labels_in_the_order_of_the_frame(names: list[Any], labels: tuple[str, ...]) -> None:
    predictions = check(pd.DataFrame([[0.9, 0.1]], columns=names), "binary", labels)
    assert predictions.columns == labels[::-1]
    assert predictions.values.tolist() == [[0.9, 0.1]]


def test_further_columns_are_extra_output_row_by_row() -> None:
    frame = pd.DataFrame({"b": [0.5, 0.25], "why": ["x", None], "a": [0.5, 0.75], 3: [1, 2]}, index=[9, 4])
    predictions = check(frame, "multiclass", ("a", "b"))
    assert predictions.columns == ("b", "a")
    assert predictions.values.tolist() == [[0.5, 0.5], [0.25, 0.75]]
    assert predictions.extra is not None
    assert list(predictions.extra.columns) == ["why", "3"]
    assert list(predictions.extra.index) == [0, 1]


@each_case(
    ("frame", "values", "extra"),
    [
        pytest.param({"yes": [0.25]}, [[0.75, 0.25]], None, id="the positive label"),
        pytest.param({"no": [0.25]}, [[0.25, 0.75]], None, id="the negative label"),
        pytest.param({"Predictions": [0.25]}, [[0.75, 0.25]], None, id="any other name"),
        pytest.param({"why": ["x"], "yes": [0.25]}, [[0.75, 0.25]], ["why"], id="the positive label and more"),
    ],
)
def test_one_binary_column_makes_two(frame: Any, values: Any, extra: list[str] | None) -> None:
    predictions = check(frame, "binary", ("no", "yes"))
    assert predictions.columns == ("no", "yes")
    assert predictions.values.tolist() == values
    assert (predictions.extra is None) if extra is None else (list(predictions.extra.columns) == extra)  # type: ignore[union-attr]


@each_case(
    ("target_type", "names", "missing"),
    [
        ("binary", ["no", "x"], "'yes'; its columns are 'no', 'x'"),
        ("binary", ["x", "y"], "'no', 'yes'"),
        ("multiclass", ["no"], "'yes'"),
        ("multilabel", ["NO", "yes"], "'no'"),
    ],
)
def test_missing_label_is_named_in_the_error(target_type: str, names: list[str], missing: str) -> None:
    with pytest.raises(PredictionError, match=missing):
        check(pd.DataFrame([[0.5] * len(names)], columns=names), target_type, ("no", "yes"))


@each_case("target_type", ["binary", "multiclass", "multilabel"])
def test_probability_outside_0_and_1_is_rejected(target_type: str) -> None:
    for value in (1.1, -0.1, np.nan, np.inf, 1 + 1e-4, -1e-4):
        with pytest.raises(PredictionError, match=r"class label 'b' in row 2"):
            check({"a": [0.5, 0.0], "b": [0.5, value]}, target_type, ("a", "b"))


@each_case("target_type", ["binary", "multiclass"])
def test_probabilities_of_a_row_sum_to_1_within_a_hundredth(target_type: str) -> None:
    for value in (0.5, 0.51, 0.49):
        assert check({"a": [0.5, 0.5], "b": [0.5, value]}, target_type, ("a", "b")).values[1, 1] == value
    for value in (0.5101, 0.4):
        with pytest.raises(PredictionError, match=r"sum to .* in row 2"):
            check({"a": [0.5, 0.5], "b": [0.5, value]}, target_type, ("a", "b"))


@each_case("target_type", ["binary", "multiclass", "multilabel"])
@each_case(
    ("dtype", "above"),
    [(np.float64, 1 + 9e-6), (np.float32, 1.0000001), (np.float16, 1.001)],
    ids=["double", "single", "half"],
)
def test_rounding_errors_of_probabilities_are_clipped(target_type: str, dtype: Any, above: float) -> None:
    values = np.array([[1 - above, above], [0.25, 0.75]], dtype=dtype)
    predictions = check(pd.DataFrame(values, columns=["a", "b"]), target_type, ("a", "b"))
    assert predictions.values.tolist() == [[0.0, 1.0], [0.25, 0.75]]
    assert values[0, 1] > 1


@each_case("values", [(0.0, 0.0), (1.0, 1.0), (0.3, 0.9)], ids=str)
def test_multilabel_probabilities_need_no_sum(values: tuple[float, float]) -> None:
    assert check({"a": [values[0]], "b": [values[1]]}, "multilabel", ("a", "b")).values.tolist() == [list(values)]


@given(st.lists(st.floats(min_value=0.001, max_value=1), min_size=2, max_size=8))
def test_normalised_probabilities_pass_unchanged(weights: list[float]) -> None:
    values = np.array([weights]) / np.sum(weights)
    labels = tuple(f"class {place}" for place in range(len(weights)))
    predictions = check(pd.DataFrame(values, columns=list(labels)), "multiclass", labels, rows=1)
    assert predictions.values.tobytes() == values.tobytes()


def test_row_count_error_names_both_counts() -> None:
    with pytest.raises(PredictionError, match="hook score returned 2 rows of predictions for 3 rows"):
        check({"Predictions": [1, 2]}, rows=3)


@each_case("target_type", ["textgeneration", "vectordatabase", "geopoint", "agenticworkflow"])
def test_text_predictions_keep_objects_under_the_target_name(target_type: str) -> None:
    nested = {"x": [1]}
    frame = pd.DataFrame({"any": ["a", np.nan, None, 3, nested]}, dtype=object)
    predictions = check(frame, target_type, target_name="answer")
    assert predictions.columns == ("answer",)
    assert predictions.values.dtype == object
    assert predictions.values[:, 0].tolist() == ["a", None, None, 3, nested]


def test_text_column_is_found_by_the_target_name() -> None:
    predictions = check({"cost": [1], "answer": ["a"]}, "textgeneration", target_name="answer")
    assert predictions.values.tolist() == [["a"]]
    assert predictions.extra is not None
    assert predictions.extra.to_dict("list") == {"cost": [1]}
    with pytest.raises(PredictionError, match="named 'answer'"):
        check({"cost": [1], "text": ["a"]}, "textgeneration", target_name="answer")


@each_case("dtype", ["float32", "float64", "int64"])
def test_artifact_values_become_contiguous_float64(dtype: str) -> None:
    values = np.asfortranarray(np.eye(3, dtype=dtype))
    output = ArtifactOutput(values, ("a", "b", "c"))
    predictions = check_artifact_output(output, model_settings(ROOT, "multiclass", ("a", "b", "c")), 3)
    assert predictions.values.dtype == np.float64
    assert predictions.values.flags.c_contiguous
    assert predictions.columns == ("a", "b", "c")


@each_case(
    ("values", "reason"),
    [
        (np.array([["a"], ["b"]]), "'a' in column 'Predictions'"),
        (np.zeros((3, 1)), "3 rows of predictions for 2"),
        (np.zeros((2, 1), dtype=complex), "must be numeric"),
    ],
    ids=["text", "rows", "complex"],
)
def test_invalid_artifact_values_are_rejected(values: Any, reason: str) -> None:
    with pytest.raises(PredictionError, match=reason):
        check_artifact_output(ArtifactOutput(values), model_settings(ROOT), 2)


def test_to_frame_names_the_column_as_a_score_hook_does() -> None:
    frame = to_frame(ArtifactOutput(np.array([["a"]])), model_settings(ROOT, "textgeneration", target_name="answer"))
    assert frame.to_dict("list") == {"answer": ["a"]}
