"""A folder's model is compiled by the job of its predictor: what it proves, refuses, keeps and switches back."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("treelite")

from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from datarobot_drum.drum.compiled_models import job
from datarobot_drum.drum.compiled_models.audit import BackgroundAudit
from datarobot_drum.drum.compiled_models.compiler import compile_model
from datarobot_drum.drum.compiled_models.forms import CannotCompileError, CompiledForm
from datarobot_drum.drum.compiled_models.prediction_function import ActiveForm, PredictionFunction
from datarobot_drum.drum.compiled_models.probe_samples import ProbeSamples
from datarobot_drum.drum.compiled_models.probe_values import probe_columns
from datarobot_drum.drum.compiled_models.proof import prove
from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.settings.compilation import CompileMode, CompileOptions
from tests.compiled_models.compiled_folders import NAMES, TABLE, TARGET, join_audits, load, predict

ALL_ROWS = range(1, 2**62)


def forest() -> Any:
    return RandomForestClassifier(8, random_state=0).fit(TABLE, TARGET)


def test_a_forest_is_compiled_and_predicts_the_same(tmp_path: Path) -> None:
    predictor = load(tmp_path, forest())
    before = [predict(predictor, rows) for rows in (TABLE, TABLE.iloc[:1])]
    outcome = predictor.compile()
    info = predictor.compiled
    assert info is not None and info["by"] == "treelite", outcome
    assert info["check"].startswith("bit-equal on ") and set(info["speedup"]) == {"1", "1000"}
    for rows, expected in zip((TABLE, TABLE.iloc[:1]), before, strict=True):
        np.testing.assert_array_equal(predict(predictor, rows), expected)


def test_a_large_model_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "MAX_MODEL_BYTES", 1000)
    predictor = load(tmp_path, forest())
    assert "memory" in str(predictor.compile())
    assert predictor.compiled is None


def test_bad_input_raises_the_same_error_when_compiled(tmp_path: Path) -> None:
    predictor = load(tmp_path, make_pipeline(StandardScaler(), LogisticRegression()).fit(TABLE, TARGET))
    bad = [TABLE.head(2).assign(a=[1.0, np.nan]), TABLE.head(1).assign(b=[np.inf]), TABLE.head(1).drop(columns="c")]
    before = [_error(predictor, rows) for rows in bad]
    predictor.compile()
    assert predictor.compiled is not None
    assert [_error(predictor, rows) for rows in bad] == before


def _error(predictor: BasePredictor, rows: pd.DataFrame) -> str:
    with pytest.raises(UnprocessableInput) as caught:
        predict(predictor, rows)
    return str(caught.value)


def test_off_compiles_nothing(tmp_path: Path) -> None:
    predictor = load(tmp_path, forest(), CompileOptions(CompileMode.OFF))
    assert predictor.compile() is None and predictor.compiled is None


def test_a_score_hook_is_not_compiled(tmp_path: Path) -> None:
    (tmp_path / "custom.py").write_text("def score(data, model, **kwargs):\n    return model.predict_proba(data)\n")
    assert load(tmp_path, forest()).compile() is None


def test_a_post_process_hook_gets_compiled_predictions(tmp_path: Path) -> None:
    (tmp_path / "custom.py").write_text("def post_process(predictions, model):\n    return predictions\n")
    predictor = load(tmp_path, forest())
    before = predict(predictor, TABLE.iloc[:3])
    predictor.compile()
    assert predictor.compiled is not None
    np.testing.assert_array_equal(predict(predictor, TABLE.iloc[:3]), before)


def test_a_wrong_form_is_disproved() -> None:
    model = Ridge().fit(TABLE, TARGET)
    wrong = CompiledForm(("wrong",), lambda data: np.nextafter(model.predict(data), 9.0))
    samples = ProbeSamples(probe_columns(model), NAMES, lambda frame: frame, reads_arrays=True)
    proof = prove(model.predict, wrong, samples, lambda _: None, exact=True)
    assert not proof.is_proven and "other values" in proof.reason
    assert prove(model.predict, wrong, samples, lambda _: None, exact=False).is_proven


def test_a_form_that_predicts_rejected_samples_is_disproved() -> None:
    model = Ridge().fit(TABLE, TARGET)
    wrong = CompiledForm(("wrong",), lambda data: np.asarray(data) @ model.coef_ + model.intercept_)
    samples = ProbeSamples(probe_columns(model), NAMES, lambda frame: frame, reads_arrays=True)
    proof = prove(model.predict, wrong, samples, lambda _: None, exact=True)
    assert not proof.is_proven and "rejects" in proof.reason


def test_an_audit_switches_back_after_a_difference(caplog: pytest.LogCaptureFixture) -> None:
    model = Ridge().fit(TABLE, TARGET)
    function = PredictionFunction(model.predict, model, "predict")
    audit = BackgroundAudit(model.predict, 3, function.deactivate, exact=True)
    function.activate(ActiveForm(lambda data: model.predict(data) + 1.0, ALL_ROWS, {}, audit))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert function(TABLE)[0] == model.predict(TABLE)[0] + 1.0
        join_audits()
    assert not function.is_compiled and "the original predicts" in caplog.text
    np.testing.assert_array_equal(function(TABLE), model.predict(TABLE))


def test_a_failure_of_the_form_is_left_to_the_original() -> None:
    def fail(data: Any) -> Any:
        raise RuntimeError("a defect")

    model = Ridge().fit(TABLE, TARGET)
    function = PredictionFunction(model.predict, model, "predict")
    function.activate(ActiveForm(fail, ALL_ROWS, {}))
    np.testing.assert_array_equal(function(TABLE), model.predict(TABLE))


def test_only_rows_for_which_it_is_faster_are_compiled() -> None:
    model = Ridge().fit(TABLE, TARGET)
    function = PredictionFunction(model.predict, model, "predict")
    function.activate(ActiveForm(lambda data: np.zeros(len(data)), range(1, 11), {}))
    assert not function(TABLE.iloc[:10]).any() and function(TABLE.iloc[:11]).any()


def test_close_compiles_what_has_no_exact_form(tmp_path: Path) -> None:
    pytest.importorskip("skl2onnx")
    model = MLPClassifier((8,), tol=0.1, random_state=0).fit(TABLE, TARGET)
    assert compile_model(make_pipeline(model), "predict_proba", exact=False).by == "ONNX Runtime"
    predictor = load(tmp_path, model, CompileOptions(CompileMode.CLOSE))
    before = predict(predictor, TABLE)
    predictor.compile()
    np.testing.assert_allclose(predict(predictor, TABLE), before, rtol=1e-9)
    with pytest.raises(CannotCompileError):
        compile_model(model, "predict_proba")
