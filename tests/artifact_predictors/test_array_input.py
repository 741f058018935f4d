"""Estimators that accept arrays predict them bit for bit as frames; others receive frames."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, QuantileTransformer, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeRegressor

from datarobot_drum.drum.artifact_predictors.array_input import accepts_arrays
from datarobot_drum.drum.artifact_predictors.estimators import bind_estimator
from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.csv_reader import read_csv_with_pandas
from datarobot_drum.drum.tabular.fast_csv import read_numeric_csv

REGRESSORS = [
    LinearRegression(),
    Ridge(),
    ElasticNet(),
    SVR(),
    GaussianProcessRegressor(),
    DecisionTreeRegressor(random_state=0),
    ExtraTreesRegressor(10, random_state=0),
    make_pipeline(StandardScaler(), PolynomialFeatures(2), Ridge()),
    make_pipeline(make_union(StandardScaler(), QuantileTransformer(n_quantiles=10)), LinearRegression()),
]
CLASSIFIERS = [
    LogisticRegression(max_iter=5000),
    SGDClassifier(loss="log_loss", random_state=0),
    GaussianNB(),
    KNeighborsClassifier(),
    SVC(probability=True, random_state=0),
    MLPClassifier(10, max_iter=50, random_state=0),
    RandomForestClassifier(10, random_state=0),
    GradientBoostingClassifier(n_estimators=10, random_state=0),
    HistGradientBoostingClassifier(max_iter=10, random_state=0),
    make_pipeline(StandardScaler(), SelectKBest(k=5), LogisticRegression()),
    VotingClassifier(
        [("a", GaussianNB()), ("b", make_pipeline(StandardScaler(), SVC(probability=True)))], voting="soft"
    ),
    StackingClassifier([("a", GaussianNB()), ("b", RandomForestClassifier(5, random_state=0))]),
]


def settings_of(target_type: TargetType, *labels: str) -> ModelSettings:
    return ModelSettings(Path("."), target_type, None, labels, None, None, None, None)


def assert_arrays_predict_as_frames(estimator: Any, settings: ModelSettings, frame: pd.DataFrame) -> None:
    """Read the same bytes both ways: the memory order of a frame may change the last bits of a prediction."""
    model = bind_estimator(estimator, settings)
    assert model.accepts_numeric_table
    for rows in (1, 2, len(frame)):
        payload = StructuredPayload(io.BytesIO(frame.head(rows).to_csv(index=False).encode()), PayloadFormat.CSV)
        numbers = read_numeric_csv(payload)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about feature names, which are matched before
            found = model.predict(numbers).values
        np.testing.assert_array_equal(found, model.predict(read_csv_with_pandas(payload)).values)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", REGRESSORS, ids=lambda estimator: type(estimator).__name__)
@pytest.mark.parametrize("named", [True, False], ids=["trained on a frame", "trained on an array"])
def test_regressors_predict_arrays_as_frames(estimator: Any, named: bool) -> None:
    frame, target = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    estimator.fit(frame if named else frame.to_numpy(), target)
    assert_arrays_predict_as_frames(estimator, settings_of(TargetType.REGRESSION), frame.head(50))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=lambda estimator: type(estimator).__name__)
def test_classifiers_predict_arrays_as_frames(estimator: Any) -> None:
    frame, target = load_wine(return_X_y=True, as_frame=True)
    estimator.fit(frame, target)
    assert_arrays_predict_as_frames(estimator, settings_of(TargetType.MULTICLASS, "0", "1", "2"), frame)


@pytest.mark.filterwarnings("ignore")
def test_outlier_detectors_predict_arrays_as_frames() -> None:
    frame = load_wine(as_frame=True).data
    assert_arrays_predict_as_frames(
        IsolationForest(n_estimators=10, random_state=0).fit(frame), settings_of(TargetType.ANOMALY), frame
    )


class OwnEstimator(LinearRegression):  # type: ignore[misc]
    """A subclass outside scikit-learn, which may depend on the frame."""


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(ColumnTransformer([("a", StandardScaler(), ["bmi"])]), LinearRegression()),
        make_pipeline(FunctionTransformer(lambda frame: frame), LinearRegression()),
        make_pipeline(StandardScaler().set_output(transform="pandas"), LinearRegression()),
        OwnEstimator(),
        make_pipeline(StandardScaler(), OwnEstimator()),
    ],
    ids=["columns", "function", "output", "own", "own inside"],
)
def test_frame_dependent_estimators_do_not_accept_arrays(estimator: Any) -> None:
    frame, target = load_diabetes(return_X_y=True, as_frame=True)
    assert not accepts_arrays(estimator.fit(frame, target))


def test_estimators_with_categories_do_not_accept_arrays() -> None:
    frame = pd.DataFrame({"a": pd.Categorical(["x", "y"] * 20), "b": range(40)})
    model = HistGradientBoostingClassifier(max_iter=2, categorical_features="from_dtype").fit(frame, [0, 1] * 20)
    assert not accepts_arrays(model)


def test_columns_are_reordered_as_in_training() -> None:
    frame, target = load_diabetes(return_X_y=True, as_frame=True)
    estimator, settings = LinearRegression().fit(frame, target), settings_of(TargetType.REGRESSION)
    assert_arrays_predict_as_frames(estimator, settings, frame[frame.columns[::-1]].assign(more=1))
    with pytest.raises(UnprocessableInput, match="lack 1 of the 10 columns of the model: bmi"):
        assert_arrays_predict_as_frames(estimator, settings, frame.drop(columns="bmi"))
