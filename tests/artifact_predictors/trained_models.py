"""Models of every framework, trained on scikit-learn's data sets, with the framework's own predictions.

``own`` maps a table to the framework's own predictions: one column per declared label, or one value column.
"""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import onnxruntime
import pandas as pd
import xgboost
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import IsolationForest, RandomForestClassifier, RandomForestRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.svm import OneClassSVM

DIABETES, DIABETES_TARGET = load_diabetes(return_X_y=True, as_frame=True)
CANCER, CANCER_TARGET = load_breast_cancer(return_X_y=True, as_frame=True)
IRIS, IRIS_TARGET = load_iris(return_X_y=True, as_frame=True)
PROPERTIES = np.column_stack([IRIS_TARGET == 0, IRIS_TARGET != 2, IRIS_TARGET == 2]).astype(int)
"""Labels of each flower: setosa, small, virginica."""

Own = Callable[[Any], np.ndarray]


@dataclass(frozen=True)
class Task:
    """A target type with its training data. ``target`` is numeric, as most frameworks require."""

    target_type: str
    data: pd.DataFrame
    target: Any
    labels: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        flags = ["--target-type", self.target_type]
        if self.target_type == "binary":
            negative, positive = self.labels
            return [*flags, "--negative-class-label", negative, "--positive-class-label", positive]
        return [*flags, "--class-labels", *self.labels] if self.labels else flags


TASKS = {
    "regression": Task("regression", DIABETES, DIABETES_TARGET),
    "binary": Task("binary", CANCER, CANCER_TARGET, ("not so good", "bénin")),
    "multiclass": Task("multiclass", IRIS, IRIS_TARGET, ("z 1", "ä", "b")),
    "multilabel": Task("multilabel", IRIS, PROPERTIES, ("setosa", "small", "virginica")),
    "anomaly": Task("anomaly", IRIS, None),
}


@dataclass(frozen=True)
class Saved:
    """A model file in a folder, and the framework's own predictions with it."""

    file: Path
    own: Own


def to_binary_columns(output: Any) -> np.ndarray:
    """Expand the lone column of the positive class to two columns."""
    positive = np.asarray(output, dtype=np.float64).reshape(-1)
    return np.column_stack([1.0 - positive, positive])


def label_target(task: Task) -> Any:
    """Return the target with labels as classes, whose text order differs from the declared order."""
    return np.array(task.labels)[task.target]


def fit_estimator(task: Task) -> tuple[Any, Own]:
    if task.target_type == "anomaly":
        detector = IsolationForest(n_estimators=10, random_state=0).fit(task.data)
        return detector, lambda data: -detector.decision_function(data)
    if task.target_type == "regression":
        regressor = RandomForestRegressor(5, max_depth=5, random_state=0).fit(task.data, task.target)
        return regressor, regressor.predict
    forest = RandomForestClassifier(5, max_depth=3, random_state=0)
    if task.target_type == "multilabel":
        forest.fit(task.data, task.target)
        return forest, lambda data: np.column_stack([columns[:, 1] for columns in forest.predict_proba(data)])
    forest.fit(task.data, label_target(task))
    order = [list(forest.classes_).index(label) for label in task.labels]
    return forest, lambda data: forest.predict_proba(data)[:, order]


def save_sklearn(folder: Path, task: Task) -> Saved:
    estimator, own = fit_estimator(task)
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps(estimator))
    return Saved(path, own)


def fit_plain(task: Task) -> tuple[Any, Own]:
    """Fit estimators without compiled trees, which skops does not trust."""
    if task.target_type == "anomaly":
        detector = OneClassSVM().fit(task.data)
        return detector, lambda data: -detector.decision_function(data)
    if task.target_type == "regression":
        regressor = KNeighborsRegressor(algorithm="brute").fit(task.data, task.target)
        return regressor, regressor.predict
    neighbours = KNeighborsClassifier(algorithm="brute")
    if task.target_type == "multilabel":
        neighbours.fit(task.data, task.target)
        return neighbours, lambda data: np.column_stack([columns[:, 1] for columns in neighbours.predict_proba(data)])
    neighbours.fit(task.data, label_target(task))
    order = [list(neighbours.classes_).index(label) for label in task.labels]
    return neighbours, lambda data: neighbours.predict_proba(data)[:, order]


def save_skops(folder: Path, task: Task) -> Saved:
    import skops.io  # takes seconds

    estimator, own = fit_plain(task)
    skops.io.dump(estimator, folder / "model.skops")
    return Saved(folder / "model.skops", own)


def save_xgboost(folder: Path, task: Task) -> Saved:
    objective = {"binary": "binary:logistic", "multilabel": "binary:logistic", "multiclass": "multi:softprob"}
    parameters = {"objective": objective.get(task.target_type, "reg:squarederror"), "max_depth": 3, "nthread": 1}
    if task.target_type == "multiclass":
        parameters["num_class"] = len(task.labels)
    target = task.data.iloc[:, 0] if task.target is None else task.target
    booster = xgboost.train(parameters, xgboost.DMatrix(task.data, target), 5)
    path = folder / ("model.json" if task.target_type == "binary" else "model.ubj")
    booster.save_model(path)
    finish = to_binary_columns if task.target_type == "binary" else np.asarray
    return Saved(path, lambda data: finish(booster.predict(xgboost.DMatrix(data, feature_names=booster.feature_names))))


def save_lightgbm(folder: Path, task: Task) -> Saved:
    objective = {"binary": "binary", "multiclass": "multiclass", "multilabel": "binary"}
    parameters = {"objective": objective.get(task.target_type, "regression"), "num_threads": 1, "verbose": -1}
    if task.target_type == "multiclass":
        parameters["num_class"] = len(task.labels)
    target = task.data.iloc[:, 0] if task.target is None else np.asarray(task.target)
    target = target[:, 0] if task.target_type == "multilabel" else target
    booster = lightgbm.train(parameters, lightgbm.Dataset(task.data, target), 5)
    booster.save_model(folder / "model.txt")
    finish = to_binary_columns if task.target_type == "binary" else np.asarray
    return Saved(folder / "model.txt", lambda data: finish(booster.predict(data)))


def save_catboost(folder: Path, task: Task) -> Saved:
    settings = {"iterations": 5, "depth": 3, "verbose": 0, "thread_count": 1, "allow_writing_files": False}
    path = folder / "model.cbm"
    if not task.labels:
        target = task.data.iloc[:, 0] if task.target is None else task.target
        model = catboost.CatBoostRegressor(**settings).fit(task.data, target)
        model.save_model(str(path))
        return Saved(path, model.predict)
    if task.target_type == "multilabel":
        model = catboost.CatBoostClassifier(**settings, loss_function="MultiLogloss").fit(task.data, task.target)
        model.save_model(str(path))
        return Saved(path, model.predict_proba)
    model = catboost.CatBoostClassifier(**settings).fit(task.data, label_target(task))
    model.save_model(str(path))
    order = [list(model.classes_).index(label) for label in task.labels]
    return Saved(path, lambda data: model.predict_proba(data)[:, order])


def save_onnx(folder: Path, task: Task) -> Saved:
    """Convert an estimator, for multilabel a network: forests are converted to another tensor shape."""
    estimator, _ = fit_estimator(task)
    if task.target_type == "multilabel":
        estimator = MLPClassifier((4,), solver="lbfgs", max_iter=30, random_state=0).fit(task.data, task.target)
    has_map = task.target_type in ("binary", "multiclass", "multilabel")
    graph = to_onnx(
        estimator,
        task.data.to_numpy(np.float32)[:1],
        target_opset={"": 15, "ai.onnx.ml": 3},
        options={"zipmap": False} if has_map else None,
    )
    path = folder / "model.onnx"
    path.write_bytes(graph.SerializeToString())
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    order = _class_order(estimator, task)

    def own(data: Any) -> np.ndarray:
        dense = data.toarray() if hasattr(data, "toarray") else data.to_numpy()
        outputs = session.run(None, {"X": dense.astype(np.float32)})
        return np.asarray(-outputs[1] if task.target_type == "anomaly" else outputs[-1][:, order])

    return Saved(path, own)


def _class_order(estimator: Any, task: Task) -> Any:
    if task.target_type in ("binary", "multiclass"):
        return [list(estimator.classes_).index(label) for label in task.labels]
    return slice(None)


SAVE: Mapping[str, Callable[[Path, Task], Saved]] = {
    "scikit-learn": save_sklearn,
    "skops": save_skops,
    "xgboost": save_xgboost,
    "lightgbm": save_lightgbm,
    "catboost": save_catboost,
    "onnx": save_onnx,
}
"""Save functions by the name of the framework that loads the file."""
