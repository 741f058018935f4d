"""scikit-learn models get the types of their training, whatever the cells of one request look like."""

import logging

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor

from datarobot_drum.drum.exceptions import PredictionError, UnprocessableInput
from tests.cases import each_case
from tests.input_schema.loading import LoadModel, csv_payload, mtx_payload, predict_csv

TREE = DecisionTreeRegressor()


def to_lower_case(texts: pd.Series) -> pd.Series:
    return texts.str.lower()


def select_a_and_b(table: pd.DataFrame) -> pd.DataFrame:
    return table[["a", "b"]]


def select_b(table: pd.DataFrame) -> pd.DataFrame:
    return table[["b"]]


def reject_single_row(table: pd.DataFrame) -> pd.DataFrame:
    if len(table) == 1:
        raise ValueError("the file is not there")
    return table


def codes(values: object) -> object:
    """Return a model that numbers the categories of the column ``x``: 0, 1, ... 8 for missing, 9 for unknown ones."""
    table = pd.DataFrame({"x": values})
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=9, encoded_missing_value=8)
    known = encoder.fit_transform(table)[:, 0]
    # A tree that returns what it gets, for these numbers.
    return make_pipeline(
        encoder, DecisionTreeRegressor().fit([*([value] for value in known), [8], [9]], [*known, 8, 9])
    )


CELLS: dict[str, tuple[object, dict[str, float]]] = {
    "zip codes": (["01", "02", "10"], {"01": 0, "02": 1, "10": 2, "1": 9, "": 9}),
    "digits": (["1", "2"], {"1": 0, "2": 1, "1.0": 9, "01": 9}),
    "country codes": (["DE", "NA", None], {"DE": 0, "NA": 1, "": 8, "nan": 9, "null": 9}),
    "truth as text": (["False", "True"], {"False": 0, "True": 1, "false": 9}),
    "exponents": (["1e5", "2e5"], {"1e5": 0, "2e5": 1, "100000.0": 9}),
    "booleans": ([False, True], {"False": 0, "True": 1, "true": 1, "1": 1, "0": 0}),
    "booleans with gaps": (pd.Series([False, True, np.nan], dtype=object), {"False": 0, "True": 1, "": 8}),
    "numbers": ([1.0, 2.5, np.nan], {"1": 0, "1.0": 0, "2.5": 1, "": 8, "NA": 8, "3": 9}),
    "dates": (
        pd.to_datetime(["2024-01-01", "2024-02-01"]),
        {"2024-01-01": 0, "2024-02-01 00:00:00": 1, "2024-03-01": 9},
    ),
    "times": (
        pd.to_datetime(["2024-01-01 10:00", "2024-01-01 11:00"]),
        {"2024-01-01T11:00": 1, "2024-01-01T11:00Z": 1},
    ),
    "dates of a time zone": (
        pd.to_datetime(["2024-01-01", "2024-02-01"]).tz_localize("Europe/Berlin"),
        {"2024-01-01": 0, "2024-01-31T23:00Z": 1},
    ),
    "empty text": (["", "a"], {"": 0, "a": 1, "b": 9}),
    "empty text and gaps": (pd.Series(["", "a", np.nan], dtype=object), {"": 8, "a": 1}),
    "missing is None": (pd.Series(["a", None], dtype=object), {"a": 0, "": 1}),
}  # fmt: skip


@each_case("name", CELLS)
def test_cell_is_read_by_the_type_of_training_alone_and_together(name: str, load_model: LoadModel) -> None:
    values, expected = CELLS[name]
    predictor = load_model(codes(values))
    for cell, code in expected.items():
        assert predict_csv(predictor, f'x\n"{cell}"\n') == [code], cell
    together = "x\n" + "".join(f'"{cell}"\n' for cell in expected)
    assert predict_csv(predictor, together) == list(expected.values())


def test_wholly_empty_text_column_is_missing(load_model: LoadModel) -> None:
    table = pd.DataFrame({"town": ["Ulm", "Rom", None, "Ulm"], "x": [1.0, 2, 3, 4]})
    columns = ColumnTransformer(
        [("a", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["town"])],
        remainder="passthrough",
    )
    model = make_pipeline(columns, TREE).fit(table, [1, 2, 3, 4])
    predictor = load_model(model)
    expected = model.predict(pd.DataFrame({"town": pd.Series([np.nan], dtype=object), "x": [3.0]})).tolist()
    assert predict_csv(predictor, "town,x\n,3\n") == expected
    assert predict_csv(predictor, "town,x\n,3\nRom,2\n")[:1] == expected


UNUSED = pd.DataFrame({"a": [1, 2, 3, 4], "b": ["x", "y", "x", "y"], "note": ["p", "q", "r", "s"], "c": [4, 3, 2, 1]})


def test_codes_that_training_had_as_objects_are_numbers(load_model: LoadModel) -> None:
    table = pd.DataFrame({"code": pd.Series([1, 2, 10, 2], dtype=object), "x": [0.0, 0.0, 0.0, 0.0]})
    encoder = ColumnTransformer([("code", OneHotEncoder(handle_unknown="ignore"), ["code"])], remainder="passthrough")
    predictor = load_model(make_pipeline(encoder, TREE).fit(table, [1, 2, 3, 2]))
    assert predict_csv(predictor, "code,x\n10,0\n,0\n1,0\n")[::2] == [3, 1]
    assert predict_csv(predictor, "code,x\n10,0\n") == [3]


def test_unused_columns_are_not_required(load_model: LoadModel) -> None:
    columns = ColumnTransformer([("a", StandardScaler(), ["a"]), ("c", "drop", ["c"]), ("b", OneHotEncoder(), ["b"])])
    predictor = load_model(make_pipeline(columns, TREE).fit(UNUSED, [1, 2, 3, 4]))
    assert predict_csv(predictor, "b,a\ny,4\n") == [4]
    assert predict_csv(predictor, "c,b,note,a\n?,y,7,4\n") == [4]
    with pytest.raises(UnprocessableInput, match="lack 1 of the 2 columns of the model: b"):
        predict_csv(predictor, "a\n1\n")


TEXTS = pd.Series(["good fine day", "bad wet day", "good", "bad"])
SCORES = [1.0, 0.0, 1.0, 0.0]


@each_case(
    "texts",
    [TfidfVectorizer(), FeatureUnion([("a", TfidfVectorizer()), ("b", TfidfVectorizer(analyzer="char"))]),
     make_pipeline(FunctionTransformer(to_lower_case), TfidfVectorizer())],
    ids=["vectorizer", "union", "function before"],
)  # fmt: skip
def test_text_pipeline_predicts_the_texts_not_their_name(texts: object, load_model: LoadModel) -> None:
    model = make_pipeline(texts, TREE).fit(TEXTS, SCORES)
    predictor = load_model(model)
    for rows in (["good"], ["bad"], ["good", "bad"], ["12", "good"], ["", "bad"], ["NA", "True"]):
        csv = "bad\n" + "".join(f'"{row}"\n' for row in rows)
        assert predict_csv(predictor, csv) == model.predict(pd.Series(rows)).tolist(), rows


def test_text_pipeline_rejects_several_columns_unless_one_is_declared(load_model: LoadModel) -> None:
    model = make_pipeline(TfidfVectorizer(), TREE).fit(TEXTS, SCORES)
    with pytest.raises(
        UnprocessableInput, match=r"one column of texts, and the samples have 2: id, review\. .*ColumnTr"
    ):
        predict_csv(load_model(model), "id,review\n1,good\n")
    assert predict_csv(load_model(model, {"review": "text"}), "id,review\n1,good\n2,bad\n") == [1, 0]


def test_text_pipeline_rejects_a_matrix(load_model: LoadModel) -> None:
    predictor = load_model(make_pipeline(TfidfVectorizer(), TREE).fit(TEXTS, SCORES))
    payload = mtx_payload("%%MatrixMarket matrix coordinate real general\n1 1 1\n1 1 2.0\n")
    with pytest.raises(UnprocessableInput, match="numbers only"):
        predictor.predict(predictor.read_input(payload))


def test_missing_text_of_a_vectorizer_is_empty(load_model: LoadModel) -> None:
    table = pd.DataFrame({"review": TEXTS, "x": [1, 2, 3, 4]})
    columns = ColumnTransformer([("t", TfidfVectorizer(), "review")], remainder="passthrough")
    model = make_pipeline(columns, TREE).fit(table, SCORES)
    expected = model.predict(pd.DataFrame({"review": [""], "x": [1]})).tolist()
    assert predict_csv(load_model(model), "x,review\n1,\n") == expected


ARRAY = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])


@each_case("model", [LinearRegression(), SVR(), make_pipeline(StandardScaler(), TREE)], ids=str)
def test_wrong_number_of_columns_is_rejected(model: LinearRegression, load_model: LoadModel) -> None:
    predictor = load_model(model.fit(ARRAY, [1, 2, 3]))
    for csv in ("a,b,c\n1,2,3\n", "a\n1\n", "a,b,c\n1,x,3\n"):
        with pytest.raises(UnprocessableInput, match=r"have \d columns; the model takes 2"):
            predict_csv(predictor, csv)
    payload = mtx_payload("%%MatrixMarket matrix coordinate real general\n1 3 1\n1 1 2.0\n")
    with pytest.raises(UnprocessableInput, match="have 3 columns; the model takes 2"):
        predictor.predict(predictor.read_input(payload))


@pytest.mark.filterwarnings("ignore:X has feature names")
@each_case("trained_on", [ARRAY, pd.DataFrame(ARRAY, columns=["a", "b"])], ids=["array", "table"])
@each_case(
    ("csv", "message"),
    [
        ("a,b\n1,2\n3,abc\n4,x\n", r"numbers only, .*hold none: b \(row 2: 'abc'\)"),
        ('a,b\n"1,234",2\n', r"a \(row 1: '1,234'\)"),
        ("a,b\n1,2\n,2\n", r"no missing or infinite numbers, .*: a \(row 2: nan\)"),
        ("a,b\n1,2\n1,inf\n", r"no missing or infinite numbers, .*: b \(row 2: inf\)"),
    ],
    ids=["text", "thousands", "missing", "infinite"],
)
def test_cells_that_the_model_does_not_take_are_named(
    trained_on: np.ndarray, csv: str, message: str, load_model: LoadModel
) -> None:
    predictor = load_model(make_pipeline(StandardScaler(), SVR()).fit(trained_on, [1, 2, 3]))
    with pytest.raises(UnprocessableInput, match=message):
        predict_csv(predictor, csv)


@each_case(
    ("values", "cells", "message"),
    [
        (["a", "b"], ["a", "c"], r"does not know: x \(row 2: 'c'\)"),
        (["a", "b"], ["a", ""], r"does not know: x \(row 2: nan\)"),
        ([1, 2], ["1", "3"], r"does not know: x \(row 2: 3\)"),
    ],
    ids=["text", "missing", "number"],
)
def test_unknown_categories_are_named(
    values: list[object], cells: list[str], message: str, load_model: LoadModel
) -> None:
    predictor = load_model(make_pipeline(OneHotEncoder(), TREE).fit(pd.DataFrame({"x": values}), [1, 2]))
    with pytest.raises(UnprocessableInput, match=message):
        predict_csv(predictor, "x\n" + "".join(f'"{cell}"\n' for cell in cells))


def test_text_for_numbers_of_an_unknown_step_is_named(load_model: LoadModel) -> None:
    table = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    model = make_pipeline(FunctionTransformer(select_a_and_b), TREE).fit(table, [1, 2])
    with pytest.raises(UnprocessableInput, match=r"b \(row 1: 'x'\)"):
        predict_csv(load_model(model), "a,b\n1,x\n")


def test_error_of_the_model_itself_stays_an_error(load_model: LoadModel) -> None:
    model = make_pipeline(FunctionTransformer(reject_single_row), TREE).fit(pd.DataFrame({"a": [1.0, 2]}), [1, 2])
    with pytest.raises(PredictionError, match="the file is not there"):
        predict_csv(load_model(model), 'a\n""\n')


def test_unknown_types_are_logged_once_with_how_to_declare_them(
    load_model: LoadModel, caplog: pytest.LogCaptureFixture
) -> None:
    table = pd.DataFrame({"zip": ["01", "02"], "b": [3, 4]})
    model = make_pipeline(FunctionTransformer(select_b), TREE).fit(table, [1, 2])
    load_model(model)
    (record,) = [record for record in caplog.records if "inputSchema" in record.message]
    assert (record.levelno, "zip, b" in record.message, "'zip': text" in record.message) == (
        logging.WARNING,
        True,
        True,
    )
    caplog.clear()
    load_model(model, {"zip": "text", "b": "number"})
    assert not [record for record in caplog.records if "inputSchema" in record.message]


def test_transformer_gets_the_types_of_training(load_model: LoadModel) -> None:
    table = pd.DataFrame({"zip": ["01", "02"], "unused": [1, 2], "day": pd.to_datetime(["2024-01-01", "2024-02-01"])})
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=9)
    predictor = load_model(ColumnTransformer([("a", encoder, ["zip", "day"])]).fit(table), target_type="transform")
    transformed = predictor.transform(csv_payload("day,zip\n2024-02-01,01\n"), None)
    assert transformed.features.to_numpy().tolist() == [[0, 1]]
    with pytest.raises(UnprocessableInput, match="lack 1 of the 2 columns of the model: day"):
        predictor.transform(csv_payload("zip\n01\n"), None)


def test_transformer_of_texts_gets_a_series(load_model: LoadModel) -> None:
    predictor = load_model(TfidfVectorizer().fit(["good", "bad"]), target_type="transform")
    assert predictor.transform(csv_payload("text\ngood\n"), None).features.toarray().tolist() == [[0, 1]]


def test_skops_file_gets_the_types_of_training(load_model: LoadModel, tmp_path: object) -> None:
    skops_io = pytest.importorskip("skops.io")
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LinearRegression())
    model.fit(pd.DataFrame({"zip": ["01", "02", "10"]}), [1, 2, 3])
    skops_io.dump(model, f"{tmp_path}/model.skops")
    assert np.allclose(predict_csv(load_model(), "zip\n01\n10\n"), [1, 3])


def test_parquet_integers_of_a_text_column_are_text(load_model: LoadModel) -> None:
    predictor = load_model(codes(["1", "2", None]))
    for table, expected in (
        (pd.DataFrame({"x": [1, 2]}), [0, 1]),
        (pd.DataFrame({"x": [1.0, np.nan]}), [0, 8]),
        (pd.DataFrame({"x": pd.array([2, None], dtype="Int64")}), [1, 8]),
        (pd.DataFrame({"x": pd.Categorical(["2", "1"])}), [1, 0]),
        (pd.DataFrame({"x": pd.array(["2", None], dtype="string")}), [1, 8]),
    ):
        found = predictor.predict(predictor.check_samples(table)).values[:, 0].tolist()
        assert found == expected, table
