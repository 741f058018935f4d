"""The verdict beside an artifact: what it saves, and that a wrong one changes no prediction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cases import each_case

pytest.importorskip("xgboost")
pytest.importorskip("treelite")

import numpy as np
import xgboost
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from datarobot_drum.drum.compiled_models.verdicts import FILE_NAME, Verdict, VerdictFile
from datarobot_drum.drum.settings.compilation import CompileMode, CompileOptions
from tests.compiled_models.compiled_folders import TABLE, TARGET, join_audits, load, predict


def scaled_ridge(alpha: float = 1.0) -> Any:
    return make_pipeline(StandardScaler(), Ridge(alpha)).fit(TABLE, TARGET)


def test_it_is_kept_beside_the_artifact_until_the_artifact_changes(tmp_path: Path) -> None:
    load(tmp_path, scaled_ridge(), target_type="regression").compile()
    first = json.loads((tmp_path / FILE_NAME).read_text())
    again = load(tmp_path, target_type="regression")
    again.compile()
    assert again.compiled is not None and again.compiled["check"] == first["check"]
    load(tmp_path, scaled_ridge(9.0), target_type="regression").compile()
    assert json.loads((tmp_path / FILE_NAME).read_text())["key"] != first["key"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE_NAME, "model.pkl"]


@each_case("content", ['{"key": [], "rows": "x"}', "[]", "", "\0", "[" * 10**5])
def test_a_damaged_one_is_ignored(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content)
    predictor = load(tmp_path, scaled_ridge(), target_type="regression")
    assert predictor.compile() and predictor.compiled is not None


@each_case(("name", "value"), [("rows", [1, float("inf")]), ("speedup", {"1": float("nan"), "1000": 2})])
def test_one_with_impossible_numbers_is_ignored(tmp_path: Path, name: str, value: Any) -> None:
    verdicts = VerdictFile(tmp_path / "model.pkl", "exact predict")
    (tmp_path / "model.pkl").touch()
    verdicts.write(Verdict(range(1, 9), "NumPy", "bit-equal on 9 rows", {"1": 9.0, "1000": 9.0}))
    path = tmp_path / FILE_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    assert verdicts.read() is None


def test_a_forged_one_does_not_activate_a_form_that_differs(tmp_path: Path) -> None:
    targets = np.column_stack([TABLE["a"] * 3, TABLE["b"] - 5])  # one base score for each, which treelite lacks
    predictor = load(tmp_path, xgboost.XGBRegressor(n_estimators=3).fit(TABLE, targets), target_type="regression")
    forged = VerdictFile(tmp_path / "model.pkl", "exact predict")
    forged.write(Verdict(range(1, 2**62), "treelite", "bit-equal on 9 rows", {"1": 9.0, "1000": 9.0}))
    assert forged.read() is not None
    before = predict(predictor, TABLE)
    predictor.compile()
    assert predictor.compiled is None
    np.testing.assert_array_equal(predict(predictor, TABLE), before)


def test_a_difference_found_by_an_audit_holds_after_the_next_start(tmp_path: Path) -> None:
    predictor = load(tmp_path, scaled_ridge(), CompileOptions(CompileMode.EXACT, 1), "regression")
    predictor.compile()
    ridge = predictor._loaded.model[-1]  # type: ignore[attr-defined]
    ridge.coef_ = ridge.coef_ + 1.0  # as if the form were wrong
    predict(predictor, TABLE)
    join_audits()
    assert predictor.compiled is None
    again = load(tmp_path, target_type="regression")
    assert "otherwise than by the model itself" in (again.compile() or "") and again.compiled is None


def test_a_folder_that_cannot_be_written_keeps_none(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()  # as for a folder that is read only, writing fails
    predictor = load(tmp_path, scaled_ridge(), target_type="regression")
    assert predictor.compile() and predictor.compiled is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE_NAME, "model.pkl"]
