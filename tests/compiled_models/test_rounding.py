"""Compiled forms round numbers where the originals do: once, from the type of each column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.cases import each_case

pytest.importorskip("treelite")

from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

from datarobot_drum.drum.compiled_models.compiler import compile_model

_HALF_STEP = 2**36
"""Half the distance of two float32 at 2**60: a sum of them may round to an integer's neighbour by way of float64."""


def _large_integers(rows: int) -> pd.DataFrame:
    choose = np.random.default_rng(0)
    near = choose.integers(0, 6, (rows, 3)) * _HALF_STEP + choose.integers(-2, 3, (rows, 3))
    return pd.DataFrame(2**60 + near, columns=["a", "b", "c"])


def _assert_same_bits(model: Any, rows: Any) -> None:
    np.testing.assert_array_equal(compile_model(model, "predict").predict(rows), model.predict(rows))


@each_case(
    "model",
    [
        make_pipeline(SelectKBest(k=2), RandomForestRegressor(5, random_state=0)),
        make_pipeline(VarianceThreshold(), DecisionTreeRegressor(random_state=0)),
        make_pipeline(SelectKBest(k=2), LinearRegression()),
    ],
)
def test_a_selection_keeps_large_integers(model: Any) -> None:
    rows = _large_integers(500)
    target = rows["a"] // _HALF_STEP % 2 + rows["b"] // _HALF_STEP % 3
    _assert_same_bits(model.fit(rows, target), rows)


def test_xgboost_rounds_each_column_of_a_frame_from_its_own_type() -> None:
    xgboost = pytest.importorskip("xgboost")
    rows = _large_integers(500)
    model = xgboost.XGBRegressor(n_estimators=10, n_jobs=1).fit(rows, rows["a"] // _HALF_STEP % 6)
    _assert_same_bits(model, rows.assign(b=0.5))


@each_case("seed", [6, 7, 16])
def test_the_base_score_of_xgboost_has_its_own_last_bit(seed: int) -> None:
    xgboost = pytest.importorskip("xgboost")
    choose = np.random.default_rng(seed)
    rows = choose.normal(size=(500, 4))
    target = rows[:, 0] + np.sin(rows[:, 1]) + choose.normal(0, 0.3, 500) > 0
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, xgboost.DMatrix(rows, target), 8)
    many = choose.normal(size=(20_000, 4))
    found = compile_model(booster, "predict").predict(many)
    np.testing.assert_array_equal(found, booster.predict(xgboost.DMatrix(many)))
