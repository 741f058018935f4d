"""Generated rows for scikit-learn: each has the library's own prediction, alone, in any batch and by every way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor, VotingRegressor
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.tree import DecisionTreeRegressor

from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.factory import create_predictor
from tests.cases import each_case
from tests.input_schema.properties import EXAMPLES, check_rows_equal_batch
from tests.input_schema.tables import (
    BOOLEANS,
    MAX_ROWS,
    NUMBERS,
    WHOLE_NUMBERS,
    Feature,
    rows_of,
    to_typed,
    to_values,
    training_table,
)
from tests.language_predictors.builders import model_settings

FEATURES = (
    Feature("zip", "text", ("01", "02", "10", "NA"), ("1", "true", "1e5", "new", "")),
    Feature("code", "float", (1.0, 2.0, 3.5), WHOLE_NUMBERS),
    Feature("flag", "flag", (True, False), BOOLEANS),
    Feature("amount", "number", (0.5, 1.0, 7.25, 100.0), NUMBERS),
)
TYPES = {"text": object, "float": np.float64, "number": np.float64, "flag": object}

Predict = Callable[[Any, pd.DataFrame], np.ndarray]


def as_trained(values: pd.DataFrame) -> pd.DataFrame:
    """Return a table of objects with the types of the training table; missing cells are NaN."""
    columns = {
        feature.name: values[feature.name].where(values[feature.name].notna(), np.nan).astype(TYPES[feature.kind])
        for feature in FEATURES
    }
    return pd.DataFrame(columns)


def by_column(encoder: Any, **options: Any) -> ColumnTransformer:
    imputed = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder)
    return ColumnTransformer(
        [("codes", encoder, ["zip", "code"]), ("flags", imputed, ["flag"]), ("n", SimpleImputer(), ["amount"])],
        **options,
    )


def ordinal() -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)


MIXED: dict[str, Callable[[], Any]] = {
    "one hot": lambda: make_pipeline(by_column(OneHotEncoder(handle_unknown="ignore")), DecisionTreeRegressor()),
    "ordinal": lambda: make_pipeline(by_column(ordinal()), RandomForestRegressor(5, random_state=0)),
    "table of pandas": lambda: make_pipeline(
        by_column(ordinal(), verbose_feature_names_out=False).set_output(transform="pandas"), DecisionTreeRegressor()
    ),
    "search": lambda: GridSearchCV(
        make_pipeline(by_column(ordinal()), DecisionTreeRegressor()), {"decisiontreeregressor__max_depth": [3, 9]}, cv=2
    ),
    "voting": lambda: VotingRegressor([("tree", make_pipeline(by_column(ordinal()), DecisionTreeRegressor()))]),
    "passed through": lambda: make_pipeline(
        ColumnTransformer([("zip", ordinal(), ["zip"])], remainder="passthrough"),
        HistGradientBoostingRegressor(max_iter=5),
    ),
    "imputed first": lambda: make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"), DecisionTreeRegressor()
    ),
}


@contextmanager
def train_and_load(name: str, folder: Path) -> Iterator[tuple[BasePredictor, Any]]:
    """Train, save and load a model; while several are loaded, imports in functions are slow."""
    model = (MIXED | TEXTS)[name]()
    if name in TEXTS:
        model.fit(pd.Series(REVIEWS), [len(review) % 5 for review in REVIEWS])
    else:
        table, target = training_table(FEATURES)
        model.fit(as_trained(table), target)
    joblib.dump(model, folder / "model.joblib")
    predictor = create_predictor(model_settings(folder))
    try:
        predictor.load()
        yield predictor, model
    finally:
        predictor.close()


@each_case("name", MIXED)
def test_rows_of_mixed_columns_equal_the_librarys_predictions(name: str, tmp_path: Path) -> None:
    with train_and_load(name, tmp_path) as (predictor, model):

        @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), deadline=None)
        @given(rows_of(FEATURES))
        def check(cells: pd.DataFrame) -> None:
            expected = model.predict(as_trained(to_values(FEATURES, cells)))
            check_rows_equal_batch(predictor, cells, expected, to_typed(FEATURES, cells))

        check()


REVIEWS = ["good fine day", "bad wet day", "good 12", "bad", "so so", "NA", "12 34", "true", "True story"] * 5

TEXTS: dict[str, Callable[[], Any]] = {
    "tf-idf": lambda: make_pipeline(TfidfVectorizer(), DecisionTreeRegressor()),
    "union of vectorizers": lambda: make_pipeline(
        FeatureUnion([("words", CountVectorizer()), ("letters", CountVectorizer(analyzer="char"))]),
        RandomForestRegressor(5, random_state=0),
    ),
    "search of texts": lambda: GridSearchCV(
        make_pipeline(TfidfVectorizer(), DecisionTreeRegressor()), {"decisiontreeregressor__max_depth": [2, 9]}, cv=2
    ),
}
WORDS = st.sampled_from([*REVIEWS[:9], "good", "12", "1e5", "True", "nan", "2024-01-01", 'bad,"wet"', " day ", "ß 日"])


@each_case("name", TEXTS)
def test_rows_of_texts_equal_the_librarys_predictions(name: str, tmp_path: Path) -> None:
    with train_and_load(name, tmp_path) as (predictor, model):

        @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), deadline=None)
        @given(st.lists(WORDS, min_size=1, max_size=MAX_ROWS))
        def check(texts: list[str]) -> None:
            cells = pd.DataFrame({"bad": texts}, dtype=object)
            check_rows_equal_batch(predictor, cells, model.predict(pd.Series(texts)), cells)

        check()
