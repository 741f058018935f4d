"""Samples that a compiled form leaves to the original, whatever arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from datarobot_drum.drum.compiled_models.compiler import compile_model
from datarobot_drum.drum.compiled_models.prediction_function import ActiveForm, PredictionFunction
from tests.cases import each_case
from tests.compiled_models.compiled_folders import NAMES, TABLE, TARGET

UNKNOWN_AS_NUMBER = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
TEXTS = pd.DataFrame({"t": ["red", "green", None, "blue"] * 30, "n": range(120)})


def compiled(model: Any) -> PredictionFunction:
    function = PredictionFunction(model.predict_proba, model, "predict_proba")
    function.activate(ActiveForm(compile_model(model, "predict_proba").predict, range(1, 2**62), {}))
    return function


def outcome(predict: Callable[[Any], Any], samples: Any) -> Any:
    """Return the bytes of the predictions, or the error."""
    try:
        return predict(samples).tobytes()
    except Exception as error:
        return repr(error)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@each_case(
    "samples",
    [
        TABLE.astype(np.float16),
        TABLE.to_numpy(np.float16),
        TABLE.to_numpy(np.longdouble),
        sparse.csr_matrix(TABLE.to_numpy()),
        sparse.coo_matrix(TABLE.to_numpy()),
        TABLE.to_numpy().tolist(),
        TABLE.to_numpy().astype(object),
        TABLE.to_numpy().astype(str),
        TABLE[["b", "a", "c"]],
        TABLE.set_axis(["a", "a", "c"], axis=1),
        TABLE.assign(d=1),
        TABLE.assign(a=TABLE["a"] > 0),
        TABLE.assign(a=pd.array([1, None] * 75, dtype="Int64")),
        TABLE.assign(a=1 + 1j),
        TABLE.assign(a=pd.Timestamp("2020-01-01")),
        TABLE.assign(a=TABLE["a"].astype(str)),
        TABLE.iloc[:0],
        TABLE["a"],
        TABLE.to_numpy()[0],
        {"a": 1},
        None,
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_any_samples_get_the_output_or_error_of_the_original(samples: Any) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(TABLE, TARGET)
    assert outcome(compiled(model), samples) == outcome(model.predict_proba, samples)


@each_case(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        OrdinalEncoder(),
    ],
    ids=["one-hot", "one-hot strict", "ordinal", "ordinal strict"],
)
@each_case("cell", ["red", "unseen", "", None, np.nan, pd.NA, 1, 1.5, True, b"red", np.str_("red")])
def test_any_category_gets_the_output_or_error_of_the_original(encoder: Any, cell: Any) -> None:
    columns = ColumnTransformer([("t", encoder, ["t"]), ("n", StandardScaler(), ["n"])])
    texts = TEXTS.assign(t=TEXTS["t"].astype(object).where(TEXTS["t"].notna(), None))
    model = make_pipeline(columns, LogisticRegression()).fit(texts.dropna(), np.arange(90) % 2)
    function = compiled(model)
    for samples in (pd.DataFrame({"t": pd.Series([cell], dtype=object), "n": [3]}), texts.head(1)):
        assert outcome(function, samples) == outcome(model.predict_proba, samples)


@each_case("encoder", [OneHotEncoder(handle_unknown="ignore"), UNKNOWN_AS_NUMBER])
def test_an_infinite_number_is_no_unseen_category(encoder: Any) -> None:
    numbers = TABLE.assign(a=TABLE["a"].round())
    columns = ColumnTransformer([("a", encoder, ["a"])], remainder="passthrough")
    model = make_pipeline(columns, RandomForestClassifier(3, random_state=0)).fit(numbers, TARGET)
    function = compiled(model)
    for value in (np.inf, -np.inf, np.nan, 7.5):
        samples = numbers.head(1).assign(a=value)
        assert outcome(function, samples) == outcome(model.predict_proba, samples)


def test_names_are_checked_in_their_order() -> None:
    model = LogisticRegression().fit(TABLE, TARGET)
    assert "feature names" in outcome(compiled(model), TABLE[NAMES[::-1]])


@each_case("samples", [TABLE.to_numpy().tolist(), {"a": 1}, "text", sparse.coo_matrix(TABLE), TABLE["a"]])
def test_samples_of_hooks_need_not_be_tables(samples: Any) -> None:
    received: list[Any] = []
    function = PredictionFunction(received.append, LogisticRegression(), "predict_proba")
    function(samples)
    assert received[0] is samples and function.sample is None
