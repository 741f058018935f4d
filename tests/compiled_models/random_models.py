"""Random models: estimators and pipelines of many kinds, fitted on random data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn import decomposition, ensemble, impute, linear_model, preprocessing, tree
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

CLASSIFICATION, REGRESSION, ANOMALY = "classification", "regression", "anomaly"
_METHODS = {CLASSIFICATION: "predict_proba", REGRESSION: "predict", ANOMALY: "decision_function"}
_ROWS = 120


@dataclass(frozen=True)
class RandomModel:
    """A fitted model, the method that predicts, and a table like that of its training."""

    model: Any
    method: str
    frame: pd.DataFrame

    @property
    def title(self) -> str:
        steps = [type(step).__name__ for _, step in getattr(self.model, "steps", [("", self.model)])]
        return " + ".join(steps)


def random_model(seed: int) -> RandomModel:
    """Return the model of a seed."""
    choose = np.random.default_rng(seed)
    task = str(
        choose.choice([CLASSIFICATION, CLASSIFICATION, REGRESSION, REGRESSION, ANOMALY], p=[0.3, 0.3, 0.2, 0.1, 0.1])
    )
    has_texts = choose.random() < 0.3
    frame = _table(choose, has_texts)
    last = _last_step(choose, task)
    steps = [_columns(choose, frame)] if has_texts else _transformers(choose)
    accepts_missing = type(last).__name__ in _ACCEPT_MISSING and not steps
    samples = frame if has_texts or choose.random() < 0.5 else frame.to_numpy()
    if accepts_missing and choose.random() < 0.5:
        frame = frame.mask(choose.random(frame.shape) < 0.1)
        samples = frame
    model = make_pipeline(*steps, last) if steps else last
    if task == CLASSIFICATION and steps and choose.random() < 0.1:
        model = GridSearchCV(model, {}, cv=2)
    return RandomModel(_fitted(choose, model, samples, _target(choose, frame, task, last)), _METHODS[task], frame)


def _table(choose: np.random.Generator, has_texts: bool) -> pd.DataFrame:
    width = int(choose.integers(1, 9))
    scale = float(choose.choice([1e-3, 1.0, 1.0, 50.0, 1e6]))
    columns: dict[str, Any] = {}
    for position in range(width):
        kind = choose.choice(["float", "float", "int", "bool", "constant", "rounded"])
        values = choose.normal(choose.normal(), scale, _ROWS)
        columns[f"n{position}"] = {
            "float": values,
            "int": np.round(values * 3),
            "bool": (values > 0).astype(float),
            "constant": np.full(_ROWS, 2.5),
            "rounded": np.round(values, 1),
        }[str(kind)]
    for position in range(int(choose.integers(1, 4)) if has_texts else 0):
        texts = choose.choice(np.array(["red", "green", "blue", "", "é"], dtype=object), _ROWS)
        texts[choose.random(_ROWS) < 0.1] = np.nan
        columns[f"t{position}"] = texts
    return pd.DataFrame(columns)


def _target(choose: np.random.Generator, frame: pd.DataFrame, task: str, last: Any) -> Any:
    numbers = frame.select_dtypes("number").fillna(0.0).to_numpy()
    raw = numbers[:, 0] / (np.abs(numbers).max() or 1.0) + choose.normal(0, 0.3, _ROWS)
    if task == ANOMALY:
        return None
    if task == REGRESSION:
        positive = np.abs(raw) + 0.1
        several = type(last).__name__ in _SEVERAL_TARGETS and choose.random() < 0.25
        return np.column_stack([positive, raw]) if several else positive
    count = int(choose.choice([2, 2, 3, 5]))
    codes = np.clip(np.searchsorted(np.quantile(raw, np.linspace(0, 1, count + 1)[1:-1]), raw), 0, count - 1)
    is_numbered = type(last).__module__.startswith("xgboost") or choose.random() < 0.5
    return codes if is_numbered else np.array(["no", "yes", "maybe", "Zoë", "x"], dtype=object)[codes]


def _fitted(choose: np.random.Generator, model: Any, samples: Any, target: Any) -> Any:
    takes_weights = not hasattr(model, "steps") and not hasattr(model, "param_grid") and target is not None
    if takes_weights and choose.random() < 0.3:
        return model.fit(samples, target, sample_weight=choose.uniform(0.1, 3.0, _ROWS))
    return model.fit(samples) if target is None else model.fit(samples, target)


def _transformers(choose: np.random.Generator) -> list[Any]:
    makers: list[Callable[[], Any]] = [
        preprocessing.StandardScaler,
        lambda: preprocessing.StandardScaler(with_mean=False),
        preprocessing.MinMaxScaler,
        lambda: preprocessing.MinMaxScaler(clip=True),
        preprocessing.MaxAbsScaler,
        preprocessing.RobustScaler,
        impute.SimpleImputer,
        lambda: impute.SimpleImputer(strategy="median"),
        lambda: decomposition.PCA(n_components=1, whiten=bool(choose.random() < 0.5)),
        decomposition.PCA,
        preprocessing.Normalizer,
        lambda: preprocessing.QuantileTransformer(n_quantiles=20),
    ]
    chosen = [makers[number] for number in choose.integers(len(makers), size=int(choose.integers(0, 4)))]
    return [maker() for maker in chosen]


def _columns(choose: np.random.Generator, frame: pd.DataFrame) -> Any:
    texts = [name for name in frame.columns if name.startswith("t")]
    numbers = [name for name in frame.columns if name.startswith("n")]
    encoders: list[Any] = [
        preprocessing.OneHotEncoder(handle_unknown="ignore"),
        preprocessing.OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
        make_pipeline(
            impute.SimpleImputer(strategy="most_frequent"), preprocessing.OneHotEncoder(handle_unknown="ignore")
        ),
        preprocessing.OneHotEncoder(handle_unknown="ignore", min_frequency=20),
    ]
    scalers: list[Any] = [
        "passthrough",
        preprocessing.StandardScaler(),
        make_pipeline(impute.SimpleImputer(), preprocessing.RobustScaler()),
        preprocessing.QuantileTransformer(n_quantiles=20),
    ]
    blocks = [
        ("texts", encoders[int(choose.integers(len(encoders)))], texts),
        ("numbers", scalers[int(choose.integers(len(scalers)))], numbers),
    ]
    return ColumnTransformer(blocks, sparse_threshold=float(choose.choice([0.0, 0.3, 1.0])))


def _last_step(choose: np.random.Generator, task: str) -> Any:
    depth = choose.choice(np.array([None, 1, 3, 12], dtype=object))
    count = int(choose.integers(1, 12))
    if task == ANOMALY:
        return ensemble.IsolationForest(
            n_estimators=count, max_features=float(choose.choice([1.0, 0.5])), random_state=0
        )
    makers = _classifiers(choose, depth, count) if task == CLASSIFICATION else _regressors(choose, depth, count)
    return makers[int(choose.integers(len(makers)))]()


def _classifiers(choose: np.random.Generator, depth: Any, count: int) -> list[Callable[[], Any]]:
    weight = choose.choice(np.array([None, "balanced"], dtype=object))
    forest = {"n_estimators": count, "max_depth": depth, "class_weight": weight, "random_state": 0}
    boosted = {"n_estimators": count, "max_depth": depth or 4, "random_state": 0}
    return [
        lambda: ensemble.RandomForestClassifier(**forest),
        lambda: ensemble.RandomForestClassifier(**forest, n_jobs=2),
        lambda: ensemble.ExtraTreesClassifier(**forest),
        lambda: ensemble.GradientBoostingClassifier(**boosted),
        lambda: ensemble.HistGradientBoostingClassifier(max_iter=count, max_depth=depth, random_state=0),
        lambda: tree.DecisionTreeClassifier(max_depth=depth, random_state=0),
        lambda: linear_model.LogisticRegression(class_weight=weight, max_iter=50),
        lambda: linear_model.SGDClassifier(loss="log_loss", random_state=0),
        lambda: ensemble.VotingClassifier(
            [("one", linear_model.LogisticRegression()), ("two", tree.DecisionTreeClassifier())], voting="soft"
        ),
        *_booster_makers(choose, boosted, "Classifier"),
    ]


def _regressors(choose: np.random.Generator, depth: Any, count: int) -> list[Callable[[], Any]]:
    forest = {"n_estimators": count, "max_depth": depth, "random_state": 0}
    boosted = {"n_estimators": count, "max_depth": depth or 4, "random_state": 0}
    loss = str(choose.choice(["squared_error", "poisson", "gamma", "absolute_error"]))
    return [
        lambda: ensemble.RandomForestRegressor(**forest),
        lambda: ensemble.ExtraTreesRegressor(**forest),
        lambda: ensemble.GradientBoostingRegressor(
            **boosted, init=choose.choice(np.array([None, "zero"], dtype=object))
        ),
        lambda: ensemble.HistGradientBoostingRegressor(loss=loss, max_iter=count, max_depth=depth, random_state=0),
        lambda: tree.DecisionTreeRegressor(max_depth=depth, random_state=0),
        linear_model.LinearRegression,
        linear_model.Ridge,
        linear_model.Lasso,
        linear_model.BayesianRidge,
        linear_model.PoissonRegressor,
        linear_model.SGDRegressor,
        linear_model.HuberRegressor,
        *_booster_makers(choose, boosted, "Regressor"),
    ]


def _booster_makers(choose: np.random.Generator, boosted: dict[str, Any], kind: str) -> list[Callable[[], Any]]:
    import lightgbm
    import xgboost

    own = {**boosted, "n_jobs": 1}
    dart = {"booster": "dart", "rate_drop": 0.3} if choose.random() < 0.2 else {}
    base = {"base_score": 0.3} if choose.random() < 0.3 else {}
    boosting = str(choose.choice(["gbdt", "gbdt", "dart", "rf"]))
    bagging = {"bagging_freq": 1, "bagging_fraction": 0.7} if boosting == "rf" else {}
    return [
        lambda: getattr(xgboost, f"XGB{kind}")(**own, **dart, **base),
        lambda: getattr(xgboost, f"XGBRF{kind}")(**own, **base),
        lambda: getattr(lightgbm, f"LGBM{kind}")(
            **own, boosting_type=boosting, **bagging, min_child_samples=3, verbose=-1
        ),
    ]


_ACCEPT_MISSING = frozenset({
    "HistGradientBoostingClassifier", "HistGradientBoostingRegressor", "XGBClassifier", "XGBRegressor",
    "XGBRFClassifier", "XGBRFRegressor", "LGBMClassifier", "LGBMRegressor", "RandomForestClassifier",
    "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor",
})  # fmt: skip
_SEVERAL_TARGETS = frozenset({
    "RandomForestRegressor", "ExtraTreesRegressor", "Ridge", "LinearRegression", "Lasso", "DecisionTreeRegressor",
})  # fmt: skip
