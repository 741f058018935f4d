"""Native files of XGBoost and LightGBM are compiled, or refused, and predict the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cases import each_case

pytest.importorskip("treelite")
pytest.importorskip("lightgbm")
pytest.importorskip("xgboost")

import lightgbm
import xgboost

from datarobot_drum.drum.compiled_models.compiler import compile_model
from datarobot_drum.drum.compiled_models.forms import CannotCompileError
from tests.compiled_models.compiled_folders import TABLE, TARGET, load, predict

SAMPLES = TABLE.assign(b=TABLE["b"].mask(TABLE["a"] > 1), c=(TABLE["c"] * 3).round())
THREE = np.digitize(TABLE["a"], [-0.5, 0.5])
LABELS = ("0", "1", "2")


def xgboost_model(target: Any = TARGET, **params: Any) -> Any:
    return xgboost.train(params, xgboost.DMatrix(SAMPLES, target), 8)


def lightgbm_model(target: Any = TARGET, **params: Any) -> Any:
    return lightgbm.train({"verbose": -1, "min_data_in_leaf": 3, **params}, lightgbm.Dataset(SAMPLES, target), 8)


def stopped_early() -> Any:
    """Return a model whose file predicts with the best iteration only."""
    model = xgboost.XGBClassifier(n_estimators=20, early_stopping_rounds=2, learning_rate=0.9)
    return model.fit(SAMPLES, TARGET, eval_set=[(SAMPLES.iloc[::3], TARGET.iloc[::3].to_numpy()[::-1])], verbose=False)


@each_case(
    ("model", "name", "target_type", "labels"),
    [
        (xgboost_model(objective="binary:logistic"), "model.ubj", "binary", ()),
        (xgboost_model(THREE, objective="multi:softmax", num_class=3), "model.json", "multiclass", LABELS),
        (xgboost_model(abs(TABLE["a"]) + 0.1, objective="count:poisson"), "model.ubj", "regression", ()),
        (stopped_early(), "model.json", "binary", ()),
        (lightgbm_model(objective="binary"), "model.txt", "binary", ()),
        (lightgbm_model(THREE, objective="multiclass", num_class=3), "model.txt", "multiclass", LABELS),
        (lightgbm_model(TABLE["a"]), "model.txt", "regression", ()),
    ],
    ids=[
        "XGBoost logistic", "XGBoost softmax", "XGBoost poisson", "XGBoost stopped early",
        "LightGBM logistic", "LightGBM softmax", "LightGBM regression",
    ],
)  # fmt: skip
def test_a_file_is_compiled_and_predicts_the_same(
    model: Any, name: str, target_type: str, labels: tuple[str, ...], tmp_path: Path
) -> None:
    model.save_model(str(tmp_path / name))
    predictor = load(tmp_path, target_type=target_type, labels=labels)
    tables = [SAMPLES, SAMPLES.iloc[:1], SAMPLES[["c", "a", "b"]], SAMPLES.assign(a=1, b=2, c=3)]
    before = [predict(predictor, rows) for rows in tables]
    outcome = predictor.compile()
    assert predictor.compiled is not None and predictor.compiled["by"] == "treelite", outcome
    for rows, expected in zip(tables, before, strict=True):
        np.testing.assert_array_equal(predict(predictor, rows), expected)


def test_categories_and_weighted_trees_are_refused() -> None:
    codes = np.column_stack([np.random.default_rng(0).integers(0, 9, 300), np.arange(300)]).astype(float)
    target = np.isin(codes[:, 0], [1, 4, 6]).astype(int)
    params = {"verbose": -1, "objective": "binary", "min_data_per_group": 1, "cat_smooth": 1}
    refused = [
        lightgbm.train(params, lightgbm.Dataset(codes, target, categorical_feature=[0]), 3),
        xgboost.train({}, xgboost.DMatrix(codes, target, feature_types=["c", "q"], enable_categorical=True), 3),
        xgboost_model(booster="dart", rate_drop=0.5),
        xgboost_model(booster="gblinear"),
    ]
    for model in refused:
        with pytest.raises(CannotCompileError):
            compile_model(model, "predict")
