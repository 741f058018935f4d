"""A model of another kind than its target type is rejected at load, with the fitting type."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRegressor
from skl2onnx import to_onnx
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from xgboost import XGBClassifier, XGBRegressor

from datarobot_drum.drum.exceptions import ModelLoadError
from tests.artifact_predictors.loaded_models import Load, predict_csv
from tests.artifact_predictors.trained_models import CANCER, CANCER_TARGET, IRIS, IRIS_TARGET, PROPERTIES
from tests.cases import each_case
from tests.language_predictors.builders import write_model

FLOATS = IRIS.to_numpy(np.float32)
TEXTS = np.array(["no", "yes"])[CANCER_TARGET]
QUIET: dict[str, Any] = {"verbose": 0, "allow_writing_files": False}


@each_case(
    ("estimator", "target"),
    [
        pytest.param(DecisionTreeClassifier(), TEXTS, id="estimator"),
        pytest.param(make_pipeline(StandardScaler(), LogisticRegression()), TEXTS, id="pipeline"),
        pytest.param(GridSearchCV(DecisionTreeClassifier(), {"max_depth": [2]}), CANCER_TARGET, id="search"),
        pytest.param(CalibratedClassifierCV(DecisionTreeClassifier(), cv=2), CANCER_TARGET, id="calibrated"),
        pytest.param(SVC(), CANCER_TARGET, id="without probabilities"),
        pytest.param(LGBMClassifier(n_estimators=2, verbose=-1), CANCER_TARGET, id="lightgbm"),
        pytest.param(XGBClassifier(n_estimators=2), CANCER_TARGET, id="xgboost"),
        pytest.param(CatBoostClassifier(iterations=2, **QUIET), CANCER_TARGET, id="catboost"),
    ],
)
def test_classifier_is_no_regression_model(load: Load, estimator: Any, target: Any) -> None:
    with pytest.raises(ModelLoadError, match="is a classifier, not a regressor: give --target-type binary"):
        load("regression", model=estimator.fit(CANCER, target))


def test_the_fitting_type_of_a_classifier_depends_on_its_classes(load: Load) -> None:
    with pytest.raises(ModelLoadError, match="give --target-type multiclass"):
        load("regression", model=DecisionTreeClassifier().fit(IRIS, IRIS_TARGET))
    with pytest.raises(ModelLoadError, match="give --target-type multilabel and --class-labels with 3 labels"):
        load("regression", model=RandomForestClassifier(2).fit(IRIS, PROPERTIES))


@each_case("labels", [("no", "yes"), ()], ids=["labels", "no labels"])
@each_case(
    "estimator",
    [
        pytest.param(Ridge(), id="estimator"),
        pytest.param(make_pipeline(StandardScaler(), Ridge()), id="pipeline"),
        pytest.param(GridSearchCV(DecisionTreeRegressor(), {"max_depth": [2]}), id="search"),
        pytest.param(LGBMRegressor(n_estimators=2, verbose=-1), id="lightgbm"),
        pytest.param(XGBRegressor(n_estimators=2), id="xgboost"),
        pytest.param(CatBoostRegressor(iterations=2, **QUIET), id="catboost"),
    ],
)
def test_regressor_has_no_class_probabilities(load: Load, estimator: Any, labels: tuple[str, ...]) -> None:
    model = estimator.fit(CANCER, CANCER_TARGET)
    with pytest.raises(ModelLoadError, match=r"is a regressor and has no class.*--target-type regression"):
        load("binary", labels, model)


def test_a_post_process_hook_may_make_probabilities_of_a_regression(load: Load, tmp_path: Path) -> None:
    write_model(tmp_path, custom="def post_process(predictions, model): return predictions.round()")
    model = DecisionTreeRegressor().fit(CANCER, CANCER_TARGET)
    assert np.array_equal(predict_csv(load("binary", ("no", "yes"), model), CANCER).values[:, 1], CANCER_TARGET)


@each_case(
    "estimator",
    [
        LGBMRegressor(n_estimators=2, verbose=-1, objective="binary"),
        XGBRegressor(n_estimators=2, objective="binary:logistic"),
    ],
    ids=["lightgbm", "xgboost"],
)
def test_regressor_with_a_logistic_objective_predicts_the_positive_class(load: Load, estimator: Any) -> None:
    model = estimator.fit(CANCER, CANCER_TARGET)
    values = predict_csv(load("binary", ("no", "yes"), model), CANCER).values
    assert np.array_equal(values[:, 1], model.predict(CANCER))


@each_case("target_type", ["regression", "binary"])
@each_case("detector", [IsolationForest(n_estimators=3), OneClassSVM()], ids=["forest", "svm"])
def test_outlier_detector_is_an_anomaly_model(load: Load, detector: Any, target_type: str) -> None:
    labels = ("a", "b") if target_type == "binary" else ()
    with pytest.raises(ModelLoadError, match="is an outlier detector: give --target-type anomaly"):
        load(target_type, labels, detector.fit(IRIS.to_numpy()))


def test_text_classes_are_no_anomaly_scores(load: Load) -> None:
    with pytest.raises(ModelLoadError, match="classes are no scores: give --target-type binary"):
        load("anomaly", model=DecisionTreeClassifier().fit(CANCER, TEXTS))


def test_clusterer_has_no_class_probabilities(load: Load) -> None:
    with pytest.raises(ModelLoadError, match=r"is a clusterer.*add a score hook"):
        load("binary", ("a", "b"), KMeans(2, n_init=1).fit(IRIS))


def test_transformer_is_a_transform_model(load: Load) -> None:
    with pytest.raises(ModelLoadError, match="no predict method: give --target-type transform, or add a score hook"):
        load("regression", model=PCA(2).fit(IRIS))


@each_case("target_type", ["binary", "multiclass"])
@each_case(
    "estimator",
    [
        pytest.param(OneVsRestClassifier(LogisticRegression()), id="one array"),
        pytest.param(MLPClassifier((3,), solver="lbfgs", max_iter=20), id="network"),
        pytest.param(RandomForestClassifier(2), id="list of arrays"),
        pytest.param(CatBoostClassifier(iterations=2, loss_function="MultiLogloss", **QUIET), id="catboost"),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_multilabel_classifier_is_no_classifier_of_one_label(load: Load, estimator: Any, target_type: str) -> None:
    model = estimator.fit(IRIS, PROPERTIES[:, :2])
    with pytest.raises(ModelLoadError, match="give --target-type multilabel"):
        load(target_type, ("a", "b"), model)


def train_xgboost(objective: str, **more: Any) -> Any:
    return xgboost.train({"objective": objective, **more}, xgboost.DMatrix(CANCER, CANCER_TARGET), 2)


def train_lightgbm(objective: str) -> Any:
    return lightgbm.train({"objective": objective, "verbose": -1}, lightgbm.Dataset(CANCER, CANCER_TARGET), 2)


@each_case(
    ("booster", "target_type", "fitting"),
    [
        (lambda: train_xgboost("binary:logistic"), "regression", "binary"),
        (lambda: train_xgboost("multi:softprob", num_class=2), "regression", "multiclass"),
        (lambda: train_xgboost("reg:squarederror"), "binary", "regression"),
        (lambda: train_xgboost("count:poisson"), "multiclass", "regression"),
        (lambda: train_lightgbm("binary"), "regression", "binary"),
        (lambda: train_lightgbm("regression"), "binary", "regression"),
        (lambda: train_lightgbm("quantile"), "multilabel", "regression"),
    ],
)
@each_case("source", ["file", "load_model"])
def test_objective_of_a_booster_must_fit(
    load: Load, tmp_path: Path, booster: Callable[[], Any], target_type: str, fitting: str, source: str
) -> None:
    model = booster()
    file = "model.json" if isinstance(model, xgboost.Booster) else "model.txt"
    model.save_model(tmp_path / file)
    if source == "load_model":
        library = type(model).__module__.partition(".")[0]
        code = f"import {library}\ndef load_model(code_dir): return {library}.Booster(model_file=code_dir + '/{file}')"
        write_model(tmp_path, custom=code)
    labels = ("a", "b") if fitting == "regression" else ()
    with pytest.raises(ModelLoadError, match=f"The model's objective .* give --target-type {fitting}"):
        load(target_type, labels)


@each_case(
    ("estimator", "target", "target_type", "fitting"),
    [
        pytest.param(LogisticRegression(max_iter=500), IRIS_TARGET, "regression", "binary or multiclass", id="class"),
        pytest.param(Ridge(), IRIS_TARGET, "multiclass", "regression", id="regressor"),
        pytest.param(RandomForestRegressor(2), IRIS_TARGET, "multiclass", "regression", id="forest"),
        pytest.param(IsolationForest(n_estimators=3), None, "regression", "anomaly", id="detector"),
    ],
)
def test_outputs_of_a_graph_must_fit(
    load: Load, tmp_path: Path, estimator: Any, target: Any, target_type: str, fitting: str
) -> None:
    graph = to_onnx(estimator.fit(FLOATS, target), FLOATS[:1], target_opset={"": 15, "ai.onnx.ml": 3})
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    labels = ("a", "b", "c") if target_type == "multiclass" else ()
    with pytest.raises(ModelLoadError, match=f"The ONNX model is .* give --target-type {fitting}"):
        load(target_type, labels)


def test_a_score_hook_may_use_a_model_of_any_kind(load: Load, tmp_path: Path) -> None:
    write_model(tmp_path, custom="def score(data, model): return model.predict(data) == 'yes'")
    values = predict_csv(load("regression", model=DecisionTreeClassifier().fit(CANCER, TEXTS)), CANCER).values
    assert np.array_equal(values[:, 0], CANCER_TARGET)
