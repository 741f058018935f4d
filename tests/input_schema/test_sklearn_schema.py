"""The input schemas of fitted scikit-learn objects."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import RFE, SelectFromModel, SelectKBest
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from datarobot_drum.drum.artifact_predictors.sklearn_schema import input_schema_of
from datarobot_drum.drum.input_schema.columns import InputSchema
from tests.cases import each_case

ROWS = 60
_random = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "zip": _random.choice(["01", "02", "NA"], ROWS),
        "age": _random.integers(18, 90, ROWS),
        "member": _random.choice([True, False], ROWS),
        "day": pd.to_datetime(_random.choice(["2024-01-01", "2024-02-01"], ROWS)),
        "review": _random.choice(["good day", "bad night"], ROWS),
        "unused": _random.choice(["x", "y"], ROWS),
    }
)
NUMBERS = TABLE[["age"]].assign(half=TABLE["age"] / 2, member=TABLE["member"])
TARGET = np.arange(ROWS) % 2
TREE = DecisionTreeClassifier(max_depth=3)


def by_column() -> Any:
    columns = ColumnTransformer(
        [
            ("codes", OneHotEncoder(handle_unknown="ignore"), ["zip"]),
            ("days", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["day"]),
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
            ("as it is", "passthrough", ["member"]),
            ("texts", TfidfVectorizer(), "review"),
        ]
    )
    return make_pipeline(columns, TREE)


def types(schema: InputSchema) -> dict[str, str]:
    names = schema.names or tuple(map(str, range(len(schema.columns))))
    return {
        name: column.type.value if column.is_required else "unused"
        for name, column in zip(names, schema.columns, strict=True)
    }


COLUMNS = {"zip": "text", "age": "number", "member": "number", "day": "date", "review": "text", "unused": "unused"}

WRAPPERS: dict[str, Callable[[], Any]] = {
    "pipeline": by_column,
    "search": lambda: GridSearchCV(by_column(), {"decisiontreeclassifier__max_depth": [1, 2]}, cv=2),
    "calibrated": lambda: CalibratedClassifierCV(by_column(), cv=2),
    "voting": lambda: VotingClassifier([("a", by_column()), ("b", by_column())]),
    "stacking": lambda: StackingClassifier([("a", by_column())], cv=2),
    "one against the rest": lambda: OneVsRestClassifier(by_column()),
    "pipeline in a pipeline": lambda: make_pipeline("passthrough", by_column()),
    "transformed target": lambda: TransformedTargetRegressor(
        make_pipeline(by_column()[:-1], DecisionTreeRegressor(max_depth=3))
    ),
}


@each_case("name", WRAPPERS)
def test_types_of_a_column_transformer_are_found_inside(name: str) -> None:
    assert types(input_schema_of(WRAPPERS[name]().fit(TABLE, TARGET))) == COLUMNS


def test_types_are_found_inside_a_classifier_of_several_targets() -> None:
    targets = np.column_stack([TARGET, 1 - TARGET])
    assert types(input_schema_of(MultiOutputClassifier(by_column()).fit(TABLE, targets))) == COLUMNS


NUMERIC: dict[str, Any] = {
    "tree": TREE,
    "linear": LogisticRegression(),
    "forest": RandomForestClassifier(5),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=2),
    "boosting": AdaBoostClassifier(n_estimators=2),
    "bagging of some columns": BaggingClassifier(max_features=0.5, n_estimators=2, random_state=0),
    "gaussian process": GaussianProcessClassifier(),
    "selected": make_pipeline(SelectKBest(k=2), TREE),
    "selected by a model": make_pipeline(SelectFromModel(TREE), TREE),
    "recursive elimination": RFE(TREE),
    "imputed": make_pipeline("passthrough", SimpleImputer(add_indicator=True), TREE),
    "imputed by neighbours": make_pipeline(KNNImputer(), TREE),
    "with indicator": make_pipeline(FeatureUnion([("a", SimpleImputer()), ("b", MissingIndicator())]), TREE),
    "union": make_pipeline(FeatureUnion([("a", StandardScaler()), ("b", "passthrough")]), TREE),
    "numpy function": make_pipeline(FunctionTransformer(np.log1p), TREE),
    "identity": make_pipeline(FunctionTransformer(), TREE),
    "remainder": make_pipeline(ColumnTransformer([("a", StandardScaler(), [0])], remainder="passthrough"), TREE),
}


@each_case("name", NUMERIC)
def test_estimators_of_numbers_take_numbers_by_name_and_by_position(name: str) -> None:
    by_name = input_schema_of(NUMERIC[name].fit(NUMBERS, TARGET))
    assert types(by_name) == {"age": "number", "half": "number", "member": "number"}
    by_position = input_schema_of(NUMERIC[name].fit(NUMBERS.to_numpy(float), TARGET))
    assert by_position.names is None
    assert types(by_position) == {"0": "number", "1": "number", "2": "number"}


def test_estimators_of_a_chain_take_the_columns_of_the_request() -> None:
    chain = ClassifierChain(TREE).fit(NUMBERS, np.column_stack([TARGET, 1 - TARGET]))
    assert types(input_schema_of(chain)) == {"age": "number", "half": "number", "member": "number"}


@each_case(
    "selection",
    [["zip"], [0], slice(0, 1), slice("zip", "zip"), np.array([True, False, False]), [-3], lambda table: ["zip"],
     make_column_selector(pattern="zip")],
    ids=["names", "positions", "slice", "slice of names", "mask", "from the end", "function", "selector"],
)  # fmt: skip
def test_branches_of_a_column_transformer_are_found_by_every_selection(selection: Any) -> None:
    columns = ColumnTransformer([("a", OrdinalEncoder(), selection)])
    fitted = make_pipeline(columns, TREE).fit(TABLE[["zip", "age", "member"]], TARGET)
    assert types(input_schema_of(fitted)) == {"zip": "text", "age": "unused", "member": "unused"}


CATEGORIES: dict[str, tuple[Any, str]] = {
    "text": (["a", "b"], "text"),
    "digits": (["01", "02"], "text"),
    "text with gaps": (["a", np.nan], "text"),
    "integers": ([1, 2], "number"),
    "floats with gaps": ([1.0, np.nan], "number"),
    "integers as objects": (pd.Series([1, 2], dtype=object), "number"),
    "booleans": ([True, False], "boolean"),
    "booleans with gaps": (pd.Series([True, np.nan], dtype=object), "boolean"),
    "dates": (pd.to_datetime(["2024-01-01", "2024-02-01"]), "date"),
    "dates of a time zone": (pd.to_datetime(["2024-01-01", "2024-02-01"]).tz_localize("Europe/Berlin"), "date"),
    "days": (pd.to_datetime(["2024-01-01", "2024-02-01"]).date, "date"),
    "durations": (pd.to_timedelta(["1 days", "2 days"]), "date"),
    "pandas categories of text": (pd.Categorical(["a", "b"]), "text"),
    "pandas categories of numbers": (pd.Categorical([3, 7]), "number"),
}


@each_case("name", CATEGORIES)
@each_case("encoder", [OneHotEncoder(), OrdinalEncoder()], ids=["one hot", "ordinal"])
def test_encoder_takes_the_type_of_its_categories(encoder: Any, name: str) -> None:
    values, expected = CATEGORIES[name]
    schema = input_schema_of(make_pipeline(encoder, TREE).fit(pd.DataFrame({"x": values}), [0, 1]))
    assert types(schema) == {"x": expected}


def test_target_encoder_takes_the_type_of_its_categories() -> None:
    fitted = make_pipeline(TargetEncoder(cv=2), TREE).fit(TABLE[["zip", "age"]], TARGET)
    assert types(input_schema_of(fitted)) == {"zip": "text", "age": "number"}


def test_category_columns_of_histogram_boosting_have_the_types_of_their_categories() -> None:
    table = TABLE[["zip", "age"]].astype("category").assign(half=NUMBERS["half"])
    fitted = HistGradientBoostingClassifier(max_iter=2, categorical_features="from_dtype").fit(table, TARGET)
    assert types(input_schema_of(fitted)) == {"zip": "text", "age": "number", "half": "number"}


def test_imputer_of_the_most_frequent_passes_types_on() -> None:
    table = TABLE[["zip", "age", "member"]]
    fitted = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(), TREE).fit(table, TARGET)
    assert types(input_schema_of(fitted)) == {"zip": "text", "age": "number", "member": "boolean"}


def test_columns_that_pass_unchanged_have_the_types_of_the_next_step() -> None:
    columns = ColumnTransformer([("age", StandardScaler(), ["age"])], remainder="passthrough")
    encode = ColumnTransformer([("codes", OneHotEncoder(), [1])], remainder="passthrough")
    fitted = make_pipeline(columns, encode, TREE).fit(TABLE[["zip", "age", "member"]], TARGET)
    assert types(input_schema_of(fitted)) == {"zip": "text", "age": "number", "member": "number"}


VECTORIZERS: dict[str, Any] = {
    "counts": CountVectorizer(),
    "tf-idf": TfidfVectorizer(),
    "hashes": HashingVectorizer(n_features=16),
    "union": FeatureUnion([("a", TfidfVectorizer()), ("b", CountVectorizer(analyzer="char"))]),
    "lower case before": make_pipeline(FunctionTransformer(lambda texts: texts.str.lower()), TfidfVectorizer()),
}


@each_case("name", VECTORIZERS)
def test_vectorizer_takes_a_series_of_texts(name: str) -> None:
    schema = input_schema_of(make_pipeline(VECTORIZERS[name], TREE).fit(TABLE["review"], TARGET))
    assert (schema.takes_series, types(schema)) == (True, {"0": "text"})


def test_function_that_selects_the_texts_takes_a_table() -> None:
    select = FunctionTransformer(lambda table: table["review"])
    schema = input_schema_of(make_pipeline(select, TfidfVectorizer(), TREE).fit(TABLE[["review"]], TARGET))
    assert (schema.takes_series, types(schema)) == (False, {"review": "text"})


def test_functions_and_classes_of_others_take_unknown_types() -> None:
    select = FunctionTransformer(lambda table: table[["age"]] * 2)
    schema = input_schema_of(make_pipeline(select, TREE).fit(TABLE[["zip", "age"]], TARGET))
    assert schema.unknown == ("zip", "age")

    class Own(StandardScaler):  # type: ignore[misc, unused-ignore]
        pass

    assert input_schema_of(make_pipeline(Own(), TREE).fit(NUMBERS, TARGET)).unknown == ("age", "half", "member")


def test_model_that_uses_no_column_requires_none() -> None:
    assert set(types(input_schema_of(DummyClassifier().fit(TABLE, TARGET))).values()) == {"unused"}


def test_object_without_columns_has_an_empty_schema() -> None:
    assert not input_schema_of(object()).is_known
    assert not input_schema_of(make_pipeline(StandardScaler(), TREE)).is_known
