"""Code of the model's owner: never compiled, never called with made-up samples, watched where it gets the model."""

from __future__ import annotations

import functools
import logging
import pickle
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from datarobot_drum.drum.compiled_models.compiler import compile_model
from datarobot_drum.drum.compiled_models.forms import CannotCompileError
from datarobot_drum.drum.compiled_models.original_classes import is_original
from datarobot_drum.drum.language_predictors.base import BasePredictor
from tests.cases import each_case
from tests.compiled_models.compiled_folders import TABLE, TARGET, load, predict


class OwnForest(RandomForestClassifier):  # type: ignore[misc]
    """A subclass may override anything."""


class OwnScaler(StandardScaler):  # type: ignore[misc]
    """A subclass may override anything."""


def double(samples: Any) -> Any:
    return samples * 2


def scaled_logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(TABLE, TARGET)


@each_case(
    "model",
    [
        OwnForest(3),
        make_pipeline(OwnScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), FunctionTransformer(double), LogisticRegression()),
        make_pipeline(StandardScaler(), FunctionTransformer(functools.partial(np.tanh)), LogisticRegression()),
    ],
    ids=["estimator", "transformer", "function", "partial"],
)
def test_code_outside_the_libraries_is_not_compiled(model: Any) -> None:
    with pytest.raises(CannotCompileError, match="no code of a library"):
        compile_model(model.fit(TABLE, TARGET), "predict_proba")


def test_functions_of_numpy_are_called() -> None:
    model = make_pipeline(FunctionTransformer(np.arctan), StandardScaler(), LogisticRegression()).fit(TABLE, TARGET)
    compiled = compile_model(model, "predict_proba").predict(TABLE)
    assert compiled.tobytes() == model.predict_proba(TABLE).tobytes()


def test_replaced_methods_are_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = RandomForestClassifier(3).fit(TABLE, TARGET), scaled_logistic()
    assert is_original(model) and is_original(other.steps[0][1])
    model.predict_proba = lambda samples: np.ones((len(samples), 2))
    assert not is_original(model)

    @functools.wraps(StandardScaler.transform)  # which copies the name of the library's module
    def transform(self: Any, samples: Any) -> Any:
        return samples

    for replacement in (transform, mock.Mock(), functools.partial(double)):
        with monkeypatch.context() as context:
            context.setattr(StandardScaler, "transform", replacement)
            assert not is_original(other.steps[0][1])
    assert is_original(other.steps[0][1])


def compiled_info(predictor: BasePredictor) -> Any:
    return predictor.compiled


CHANGING_HOOK = """
def post_process(predictions, model):
    model[-1].coef_[0, 0] += 0.5
    return predictions
"""


REPLACING_HOOK = """
def post_process(predictions, model):
    model.coef_ = model.coef_ * 2
    return predictions
"""

LOADING_HOOK = """
import pickle
from pathlib import Path

def load_model(code_dir):
    return pickle.loads(Path(code_dir, "own.bin").read_bytes())
"""


def test_a_model_that_a_hook_changes_predicts_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "custom.py").write_text(CHANGING_HOOK)
    compiled, original = load(tmp_path, scaled_logistic()), load(tmp_path)
    compiled.compile()
    assert compiled_info(compiled) is not None
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            np.testing.assert_array_equal(predict(compiled, TABLE), predict(original, TABLE))
    assert "has changed the model" in caplog.text
    assert compiled_info(compiled) is None


def test_a_model_that_a_hook_replaces_in_part_predicts_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "custom.py").write_text(REPLACING_HOOK)
    compiled = load(tmp_path, Ridge().fit(TABLE, TARGET), target_type="regression")
    original = load(tmp_path, target_type="regression")
    compiled.compile()
    for _ in range(3):
        np.testing.assert_array_equal(predict(compiled, TABLE), predict(original, TABLE))


def test_what_load_model_returned_is_compiled_and_keeps_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "custom.py").write_text(LOADING_HOOK)
    (tmp_path / "own.bin").write_bytes(pickle.dumps(scaled_logistic()))
    predictor = load(tmp_path)
    before = predict(predictor, TABLE)
    predictor.compile()
    assert predictor.compiled is not None and not list(tmp_path.glob(".compiled*"))
    np.testing.assert_array_equal(predict(predictor, TABLE), before)


def test_a_model_of_one_call_at_a_time_is_not_compiled(tmp_path: Path) -> None:
    (tmp_path / "custom.py").write_text(
        "THREAD_SAFE = False\n\ndef post_process(predictions, model):\n    return predictions\n"
    )
    assert load(tmp_path, scaled_logistic()).compile() is None
