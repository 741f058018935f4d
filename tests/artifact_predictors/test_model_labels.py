"""Labels are taken from the model where none are given, and matched by name: only bare numbers go by position."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from skl2onnx import to_onnx
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from datarobot_drum.drum.exceptions import ModelLoadError, UsageError
from datarobot_drum.drum.language_predictors.factory import create_predictor
from tests.artifact_predictors.loaded_models import Load, predict_csv
from tests.artifact_predictors.trained_models import CANCER, CANCER_TARGET, IRIS, IRIS_TARGET, PROPERTIES
from tests.cases import each_case
from tests.language_predictors.builders import model_settings, write_model

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

FLOATS = CANCER.to_numpy(np.float32)


def tree(target: Any, data: Any = CANCER) -> Any:
    return DecisionTreeClassifier(max_depth=3, random_state=0).fit(data, target)


def named(negative: Any, positive: Any) -> Any:
    return np.array([negative, positive])[CANCER_TARGET]


@each_case(
    "estimator",
    [
        pytest.param(DecisionTreeClassifier(max_depth=3), id="estimator"),
        pytest.param(make_pipeline(StandardScaler(), LogisticRegression()), id="pipeline"),
        pytest.param(GridSearchCV(DecisionTreeClassifier(), {"max_depth": [2]}), id="search"),
        pytest.param(CalibratedClassifierCV(DecisionTreeClassifier(max_depth=2), cv=2), id="calibrated"),
        pytest.param(LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1), id="lightgbm"),
        pytest.param(CatBoostClassifier(iterations=3, verbose=0, allow_writing_files=False), id="catboost"),
    ],
)
def test_labels_are_the_classes_of_the_estimator(load: Load, estimator: Any, caplog: pytest.LogCaptureFixture) -> None:
    estimator.fit(CANCER, named("no", "yes"))
    with caplog.at_level(logging.INFO):
        predictor = load("binary", model=estimator)
    assert predictor.class_labels == ("no", "yes")
    assert "'no' (negative), 'yes' (positive)" in caplog.text
    predictions = predict_csv(predictor, CANCER)
    assert predictions.columns == ("no", "yes")
    assert np.allclose(predictions.values, estimator.predict_proba(CANCER), rtol=1e-12)


@each_case(
    ("target", "labels"),
    [
        (CANCER_TARGET, ("0", "1")),
        (CANCER_TARGET.astype(float), ("0", "1")),
        (CANCER_TARGET.astype(bool), ("False", "True")),
        (CANCER_TARGET * 2 - 1, ("-1", "1")),
    ],
    ids=["int", "float", "bool", "signs"],
)
def test_numbers_and_booleans_become_labels(load: Load, target: Any, labels: tuple[str, ...]) -> None:
    assert load("binary", model=tree(target)).class_labels == labels


def test_multiclass_labels_are_the_classes(load: Load) -> None:
    names = np.array(["b", "c", "a"])[IRIS_TARGET]
    predictor = load("multiclass", model=tree(names, IRIS))
    assert predict_csv(predictor, IRIS).columns == ("a", "b", "c")


def save_xgboost(folder: Path, objective: str, target: Any, **more: Any) -> None:
    booster = xgboost.train({"objective": objective, "nthread": 1, **more}, xgboost.DMatrix(CANCER, target), 3)
    booster.save_model(folder / "model.json")


def save_lightgbm(folder: Path, objective: str, target: Any) -> None:
    parameters = {"objective": objective, "verbose": -1, "num_threads": 1}
    lightgbm.train(parameters, lightgbm.Dataset(CANCER, target), 3).save_model(folder / "model.txt")


def save_catboost(folder: Path) -> None:
    model = CatBoostClassifier(iterations=3, verbose=0, allow_writing_files=False).fit(CANCER, named("no", "yes"))
    model.save_model(str(folder / "model.cbm"))


def save_onnx(folder: Path, estimator: Any, *, zipmap: bool | None = None) -> None:
    options = None if zipmap is None else {"zipmap": zipmap}
    graph = to_onnx(estimator, FLOATS[:1], options=options, target_opset={"": 15, "ai.onnx.ml": 3})
    (folder / "model.onnx").write_bytes(graph.SerializeToString())


@each_case(
    ("save", "labels"),
    [
        (lambda folder: save_xgboost(folder, "binary:logistic", CANCER_TARGET), ("0", "1")),
        (lambda folder: save_lightgbm(folder, "binary", CANCER_TARGET), ("0", "1")),
        (save_catboost, ("no", "yes")),
        (lambda folder: save_onnx(folder, tree(named("no", "yes"), FLOATS), zipmap=True), ("no", "yes")),
        (lambda folder: save_onnx(folder, tree(named("no", "yes"), FLOATS), zipmap=False), ("no", "yes")),
    ],
    ids=["xgboost", "lightgbm", "catboost", "onnx map", "onnx tensor"],
)
def test_labels_are_the_classes_of_the_file(
    load: Load, tmp_path: Path, save: Callable[[Path], None], labels: tuple[str, ...]
) -> None:
    save(tmp_path)
    predictions = predict_csv(load("binary"), CANCER)
    assert predictions.columns == labels
    assert np.corrcoef(predictions.values[:, 1], CANCER_TARGET)[0, 1] > 0.8


@each_case("library", ["xgboost", "lightgbm"])
def test_numeric_labels_of_a_file_are_matched_in_any_order(load: Load, tmp_path: Path, library: str) -> None:
    if library == "xgboost":
        save_xgboost(tmp_path, "binary:logistic", CANCER_TARGET)
    else:
        save_lightgbm(tmp_path, "binary", CANCER_TARGET)
    straight, reversed_ = (predict_csv(load("binary", labels), CANCER).values for labels in [("0", "1"), ("1", "0")])
    assert np.array_equal(straight, reversed_[:, ::-1])


def test_text_labels_of_a_file_without_class_names_are_named_at_start(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_xgboost(tmp_path, "binary:logistic", CANCER_TARGET)
    load("binary", ("ill", "well"))
    assert "'0' for 'ill' (negative), '1' for 'well' (positive)" in caplog.text


@pytest.mark.parametrize("given", [{"positive_class_label": "no"}, {"negative_class_label": "yes"}], ids=str)
def test_the_model_completes_one_given_label(load: Load, tmp_path: Path, given: dict[str, Any]) -> None:
    save_catboost(tmp_path)
    assert load("binary", **given).class_labels == ("yes", "no")


MISMATCHES = [
    pytest.param(("Yes", "No"), "did you mean --negative-class-label yes --positive-class-label no?", id="case"),
    pytest.param(("N O", "yes"), "did you mean --negative-class-label no --positive-class-label yes?", id="one equal"),
    pytest.param(("a", "b"), "give --negative-class-label no --positive-class-label yes (or the oth", id="others"),
    pytest.param(("0", "1"), "give --negative-class-label no --positive-class-label yes (or the oth", id="numbers"),
]


@each_case("framework", ["scikit-learn", "catboost", "onnx"])
@each_case(("labels", "advice"), MISMATCHES)
def test_text_classes_that_match_no_label_are_rejected_with_the_flags(
    load: Load, tmp_path: Path, framework: str, labels: tuple[str, ...], advice: str
) -> None:
    model = tree(named("no", "yes")) if framework == "scikit-learn" else None
    if framework == "catboost":
        save_catboost(tmp_path)
    elif framework == "onnx":
        save_onnx(tmp_path, tree(named("no", "yes"), FLOATS), zipmap=False)
    with pytest.raises(ModelLoadError) as failed:
        load("binary", labels, model)
    assert "('no', 'yes') are not the class labels" in str(failed.value)
    assert advice in str(failed.value)


def test_flags_of_a_message_are_quoted(load: Load) -> None:
    with pytest.raises(ModelLoadError, match="--negative-class-label 'not so good' --positive-class-label good"):
        load("binary", ("Not so good", "Good"), tree(named("not so good", "good")))
    with pytest.raises(ModelLoadError, match="--negative-class-label=-1 --positive-class-label 1"):
        load("binary", ("-1", "0"), tree(CANCER_TARGET * 2 - 1))


def test_multiclass_mismatch_suggests_the_labels_in_the_given_order(load: Load) -> None:
    names = np.array(["b", "c", "a"])[IRIS_TARGET]
    with pytest.raises(ModelLoadError, match=r"did you mean --class-labels c a b\?"):
        load("multiclass", ("C", " A", "b"), tree(names, IRIS))


def test_numbers_match_no_other_numbers(load: Load) -> None:
    with pytest.raises(ModelLoadError, match=r"'0', '1'.*are not the class labels .*'5', '6'"):
        load("binary", ("5", "6"), tree(CANCER_TARGET))


def test_numbers_are_taken_in_ascending_order(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    settings = {"iterations": 3, "verbose": 0, "allow_writing_files": False}
    estimator = CatBoostClassifier(**settings, class_names=["1", "0"]).fit(CANCER, CANCER_TARGET.astype(str))
    values = predict_csv(load("binary", ("ill", "well"), estimator), CANCER).values
    assert np.array_equal(values, estimator.predict_proba(CANCER)[:, ::-1])
    assert "'0' for 'ill' (negative), '1' for 'well' (positive)" in caplog.text


def test_more_than_two_classes_are_no_binary_model(load: Load) -> None:
    for labels in ((), ("0", "1")):
        with pytest.raises(ModelLoadError, match="give --target-type multiclass --class-labels 0 1 2"):
            load("binary", labels, tree(IRIS_TARGET, IRIS))


@each_case("target_type", ["binary", "multiclass", "multilabel"])
def test_a_hook_without_labels_is_a_usage_error(tmp_path: Path, target_type: str) -> None:
    write_model(tmp_path, custom="def score(data, model): return [0.5] * len(data)")
    with pytest.raises(UsageError, match=r"class label.*the model does not name its classes: give --"):
        create_predictor(model_settings(tmp_path, target_type)).load()


def test_a_score_hook_receives_the_labels_of_the_model(load: Load, tmp_path: Path) -> None:
    write_model(
        tmp_path,
        custom="""
        def score(data, model, positive_class_label, class_labels):
            assert (positive_class_label, class_labels) == ("yes", ["no", "yes"])
            return model.predict_proba(data)[:, 1]
        """,
    )
    estimator = tree(named("no", "yes"))
    predictions = predict_csv(load("binary", model=estimator), CANCER)
    assert predictions.columns == ("no", "yes")
    assert np.array_equal(predictions.values[:, 1], estimator.predict_proba(CANCER)[:, 1])


def test_labels_of_several_targets_must_be_given(load: Load) -> None:
    estimator = MultiOutputClassifier(LogisticRegression(max_iter=500)).fit(IRIS, PROPERTIES)
    with pytest.raises(UsageError, match="give --class-labels"):
        load("multilabel", model=estimator)


def test_xgboost_estimator_without_labels_is_served(load: Load) -> None:
    estimator = XGBClassifier(n_estimators=3, n_jobs=1).fit(IRIS, IRIS_TARGET)
    assert load("multiclass", model=estimator).class_labels == ("0", "1", "2")
