"""Real estimators on real data: values equal the estimator's own, columns follow the declared labels."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_multilabel_classification
from sklearn.ensemble import IsolationForest, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

from datarobot_drum.drum.artifact_predictors.base import ArtifactOutput
from datarobot_drum.drum.artifact_predictors.estimators import bind_estimator
from datarobot_drum.drum.exceptions import ModelLoadError, PredictionError, UnprocessableInput
from tests.cases import each_case
from tests.language_predictors.builders import model_settings

CANCER, CANCER_TARGET = load_breast_cancer(return_X_y=True, as_frame=True)
IRIS, IRIS_TARGET = load_iris(return_X_y=True, as_frame=True)
DIABETES, DIABETES_TARGET = load_diabetes(return_X_y=True, as_frame=True)


def predict(
    estimator: Any, data: Any, target_type: str, labels: tuple[str, ...] = (), **changes: Any
) -> ArtifactOutput:
    settings = model_settings(Path(), target_type, labels, **changes)
    return bind_estimator(estimator, settings).predict(data)


def tree(data: pd.DataFrame, target: Any) -> Any:
    return DecisionTreeClassifier(max_depth=3, random_state=0).fit(data, target)


class FixedOutput:
    """An object with one method that returns fixed values."""

    def __init__(self, values: Any, method: str = "predict", **attributes: Any) -> None:
        setattr(self, method, lambda data: values)
        self.__dict__.update(attributes)


def test_regression_calls_predict() -> None:
    estimator = RandomForestRegressor(5, random_state=0).fit(DIABETES, DIABETES_TARGET)
    output = predict(estimator, DIABETES, "regression")
    assert output.classes == ()
    assert output.values[:, 0].tobytes() == estimator.predict(DIABETES).tobytes()


def test_two_dimensional_target_predicts_one_column() -> None:
    estimator = LinearRegression().fit(DIABETES, DIABETES_TARGET.to_frame())
    assert predict(estimator, DIABETES, "regression").values.shape == (len(DIABETES), 1)


def test_anomaly_scores_are_one_value_a_row() -> None:
    with pytest.raises(PredictionError, match=r"one value a row.*\(2, 3\)"):
        predict(FixedOutput(np.zeros((2, 3))), IRIS, "anomaly")


BINARY_TARGETS = [
    pytest.param([0, 1], ("0", "1"), id="int"),
    pytest.param([0, 1], ("0.0", "1.0"), id="int for float labels"),
    pytest.param([0.0, 1.0], ("0", "1"), id="float for int labels"),
    pytest.param([False, True], ("False", "True"), id="bool"),
    pytest.param([False, True], ("false", "true"), id="bool in lower case"),
    pytest.param([False, True], ("0", "1"), id="bool for 0 and 1"),
    pytest.param(["no", "yes"], ("no", "yes"), id="text"),
    pytest.param([" no", "yes "], ("no", "yes"), id="blanks in the data"),
    pytest.param(["no", "yes"], ("no ", " yes"), id="blanks in the labels"),
    pytest.param(["не", "да"], ("не", "да"), id="unicode"),
    pytest.param(["0", "1"], ("0", "1"), id="digits as text"),
]


@each_case(("classes", "labels"), BINARY_TARGETS)
def test_binary_columns_are_negative_then_positive(classes: list[Any], labels: tuple[str, ...]) -> None:
    for step in (1, -1):  # as scikit-learn sorts the classes, and reversed
        target = np.array(classes[::step])[CANCER_TARGET]
        estimator = tree(CANCER, target)
        output = predict(estimator, CANCER, "binary", labels[::step])
        own = estimator.predict_proba(CANCER)[:, list(estimator.classes_).index(classes[::step][1])]
        assert output.classes == labels[::step]
        assert output.values[:, 1].tobytes() == own.tobytes()
        assert np.corrcoef(output.values[:, 1], CANCER_TARGET)[0, 1] > 0.8


def test_unmatched_binary_classes_keep_their_order_and_warn_once(caplog: pytest.LogCaptureFixture) -> None:
    estimator = tree(CANCER, CANCER_TARGET)
    with caplog.at_level(logging.WARNING):
        model = bind_estimator(estimator, model_settings(Path(), "binary", ("malignant", "benign")))
        for _ in range(3):
            values = model.predict(CANCER).values
    assert values.tobytes() == estimator.predict_proba(CANCER).tobytes()
    (message,) = caplog.messages
    assert "'0' for 'malignant' (negative), '1' for 'benign' (positive)" in message


@each_case("labels", [("0", "yes"), ("yes", "1")])
def test_half_matching_binary_classes_are_rejected(labels: tuple[str, ...]) -> None:
    with pytest.raises(ModelLoadError, match=r"'0', '1'.*'yes'"):
        predict(tree(CANCER, CANCER_TARGET), CANCER, "binary", labels)


@each_case("labels", [("setosa", "versicolor", "virginica"), ("virginica", "setosa", "versicolor")])
def test_multiclass_columns_follow_the_labels(labels: tuple[str, ...]) -> None:
    names = np.array(["setosa", "versicolor", "virginica"])
    estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(IRIS, names[IRIS_TARGET])
    output = predict(estimator, IRIS, "multiclass", labels)
    own = pd.DataFrame(estimator.predict_proba(IRIS), columns=estimator.classes_)
    assert output.values.tobytes() == own[list(labels)].to_numpy().tobytes()


def test_multiclass_integers_are_matched_as_text() -> None:
    estimator = tree(IRIS, IRIS_TARGET * 10)
    output = predict(estimator, IRIS, "multiclass", ("20", "0", "10"))
    assert output.values.tobytes() == np.ascontiguousarray(estimator.predict_proba(IRIS)[:, [2, 0, 1]]).tobytes()


@each_case("labels", [("a", "b", "c"), ("0", "1"), ("0", "1", "2", "3"), ("0", "1", "x")])
def test_unmatched_multiclass_classes_are_rejected_at_load(labels: tuple[str, ...]) -> None:
    with pytest.raises(ModelLoadError, match=r"'0', '1', '2'.*" + ", ".join(map(repr, labels))):
        bind_estimator(tree(IRIS, IRIS_TARGET), model_settings(Path(), "multiclass", labels))


@each_case(
    "estimator", [LinearSVC(), SVC(), Perceptron(), RidgeClassifier()], ids=lambda estimator: type(estimator).__name__
)
def test_classifier_without_probabilities_is_rejected_at_load(estimator: Any) -> None:
    estimator.fit(CANCER[:50], CANCER_TARGET[:50])
    with pytest.raises(ModelLoadError, match=r"no predict_proba.*CalibratedClassifierCV"):
        bind_estimator(estimator, model_settings(Path(), "binary", ("0", "1")))


def test_calibrated_classifier_predicts() -> None:
    estimator = CalibratedClassifierCV(DecisionTreeClassifier(max_depth=2, random_state=0), cv=2).fit(IRIS, IRIS_TARGET)
    assert predict(estimator, IRIS, "multiclass", ("0", "1", "2")).values.shape == (150, 3)


@each_case(
    ("values", "rows"),
    [
        pytest.param(np.array([0.25, 1.0]), [[0.75, 0.25], [0.0, 1.0]], id="one value"),
        pytest.param(np.array([[0.25], [1.0]]), [[0.75, 0.25], [0.0, 1.0]], id="one column"),
        pytest.param([0.25, 1.0], [[0.75, 0.25], [0.0, 1.0]], id="list"),
        pytest.param(np.array([[0.25, 0.75]]), [[0.25, 0.75]], id="two columns"),
    ],
)
@each_case("method", ["predict", "predict_proba"])
def test_object_without_classes_predicts_one_or_two_binary_columns(
    method: str, values: Any, rows: list[list[float]]
) -> None:
    assert predict(FixedOutput(values, method), CANCER, "binary", ("no", "yes")).values.tolist() == rows


@each_case("values", [np.zeros(2), np.zeros((2, 2)), np.zeros((2, 3, 1))], ids=str)
def test_wrong_number_of_columns_raises(values: Any) -> None:
    with pytest.raises(PredictionError, match="for 3 class labels"):
        predict(FixedOutput(values), IRIS, "multiclass", ("a", "b", "c"))


LABELS = ("red", "green", "blue")
MANY, MANY_TARGETS = make_multilabel_classification(120, n_features=6, n_classes=3, random_state=0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@each_case(
    "estimator",
    [
        pytest.param(RandomForestClassifier(5, random_state=0), id="forest: list of arrays"),
        pytest.param(KNeighborsClassifier(), id="neighbours: list of arrays"),
        pytest.param(MultiOutputClassifier(LogisticRegression()), id="one estimator an output"),
        pytest.param(OneVsRestClassifier(LogisticRegression()), id="one array"),
        pytest.param(ClassifierChain(LogisticRegression()), id="chain"),
        pytest.param(MLPClassifier(max_iter=300, random_state=0), id="network"),
    ],
)
def test_multilabel_columns_are_the_probability_of_each_label(estimator: Any) -> None:
    estimator.fit(MANY, MANY_TARGETS)
    own = estimator.predict_proba(MANY)
    wanted = own if isinstance(own, np.ndarray) else np.column_stack([array[:, 1] for array in own])
    output = predict(estimator, MANY, "multilabel", LABELS)
    assert output.classes == LABELS
    assert np.array_equal(output.values, wanted)


def test_multilabel_classes_that_are_the_labels_decide_the_order() -> None:
    estimator = OneVsRestClassifier(LogisticRegression()).fit(MANY, MANY_TARGETS)
    output = predict(estimator, MANY, "multilabel", ("2", "0", "1"))
    assert np.array_equal(output.values, estimator.predict_proba(MANY)[:, [2, 0, 1]])


def test_label_constant_in_training_predicts_zero_or_one() -> None:
    targets = np.column_stack([MANY_TARGETS[:, 0], np.zeros(120, int), np.ones(120, int)])
    values = predict(DecisionTreeClassifier().fit(MANY, targets), MANY, "multilabel", LABELS).values
    assert (values[:, 1] == 0).all()
    assert (values[:, 2] == 1).all()


def test_multilabel_estimator_of_another_width_is_rejected_at_load() -> None:
    estimator = KNeighborsClassifier().fit(MANY, MANY_TARGETS)
    with pytest.raises(ModelLoadError, match="3 labels but 2"):
        bind_estimator(estimator, model_settings(Path(), "multilabel", ("a", "b")))


def test_multilabel_estimator_is_rejected_for_multiclass() -> None:
    estimator = KNeighborsClassifier().fit(MANY, MANY_TARGETS)
    with pytest.raises(ModelLoadError, match="3 targets at once"):
        bind_estimator(estimator, model_settings(Path(), "multiclass", LABELS))


@each_case(
    "estimator",
    [IsolationForest(random_state=0), OneClassSVM(), LocalOutlierFactor(novelty=True)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_anomaly_score_of_outliers_is_positive(estimator: Any) -> None:
    estimator.fit(IRIS.to_numpy())
    values = predict(estimator, IRIS.to_numpy(), "anomaly").values[:, 0]
    assert values.tobytes() == (-estimator.decision_function(IRIS.to_numpy())).tobytes()
    assert np.array_equal(values > 0, estimator.predict(IRIS.to_numpy()) == -1)


def test_anomaly_without_an_outlier_detector_calls_predict() -> None:
    estimator = LogisticRegression(max_iter=5000).fit(CANCER, CANCER_TARGET)
    assert np.array_equal(predict(estimator, CANCER, "anomaly").values[:, 0], estimator.predict(CANCER))


def test_text_generation_calls_predict() -> None:
    output = predict(FixedOutput(np.array(["a", "b"])), IRIS, "textgeneration", target_name="answer")
    assert output.values.tolist() == [["a"], ["b"]]


@each_case("target_type", ["regression", "anomaly", "binary", "textgeneration"])
def test_object_without_predict_is_rejected_at_load(target_type: str) -> None:
    labels = ("a", "b") if target_type == "binary" else ()
    with pytest.raises(ModelLoadError, match="dict has no predict"):
        bind_estimator({}, model_settings(Path(), target_type, labels))


def test_features_are_selected_and_ordered_by_name() -> None:
    estimator = tree(IRIS, IRIS_TARGET)
    shuffled = IRIS.assign(more="text")[["more", *IRIS.columns[::-1]]]
    output = predict(estimator, shuffled, "multiclass", ("0", "1", "2"))
    assert np.array_equal(output.values, estimator.predict_proba(IRIS))


def test_missing_features_are_named() -> None:
    with pytest.raises(UnprocessableInput, match="lack 2 of the 4 columns of the model: petal"):
        predict(tree(IRIS, IRIS_TARGET), IRIS.iloc[:, :2], "multiclass", ("0", "1", "2"))


@each_case("form", ["frame", "csr"])
def test_sparse_samples_reach_the_estimator_as_csr(form: str) -> None:
    matrix = sparse.random(30, 4, density=0.5, random_state=0, format="csr")
    estimator = LogisticRegression().fit(matrix, np.arange(30) % 2)
    data = pd.DataFrame.sparse.from_spmatrix(matrix) if form == "frame" else matrix
    seen: list[Any] = []

    class Spy:
        classes_ = estimator.classes_

        def predict_proba(self, data: Any) -> Any:
            seen.append(data)
            return estimator.predict_proba(data)

    values = predict(Spy(), data, "binary", ("0", "1")).values
    assert values.tobytes() == estimator.predict_proba(matrix).tobytes()
    assert sparse.issparse(seen[0])
    assert seen[0].format == "csr"
