"""A compiled model predicts the same as the original, or is not used; for random models and samples."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest

pytest.importorskip("treelite")
pytest.importorskip("lightgbm")
pytest.importorskip("xgboost")

from datarobot_drum.drum.compiled_models.comparison import is_equal
from datarobot_drum.drum.compiled_models.compiler import compile_model
from datarobot_drum.drum.compiled_models.forms import CannotCompileError
from datarobot_drum.drum.compiled_models.prediction_function import ActiveForm, PredictionFunction
from datarobot_drum.drum.compiled_models.probe_samples import ProbeSamples
from datarobot_drum.drum.compiled_models.probe_values import add_sample, probe_columns
from datarobot_drum.drum.compiled_models.proof import prove
from datarobot_drum.drum.compiled_models.reference import sequential
from tests.compiled_models.random_models import RandomModel, random_model

MODELS = int(os.environ.get("DRUM_TEST_COMPILED_MODELS", "24"))
"""How many random models are compiled."""
FIRST = int(os.environ.get("DRUM_TEST_COMPILED_FIRST", "0"))

_ALL_ROWS = range(1, 2**62)


@pytest.mark.filterwarnings("ignore")
def test_compiled_models_predict_the_same_bits_or_are_refused() -> None:
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for seed in range(FIRST, FIRST + MODELS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case = random_model(seed)
            outcome = _check(case, seed)
        outcomes[outcome] += 1
        if outcome not in ("compiled", "not compiled"):
            reasons[f"{case.title}: {outcome}"] += 1
    print(dict(outcomes), *reasons.most_common(), sep="\n")
    assert outcomes["compiled"] > MODELS // 2


def _check(case: RandomModel, seed: int) -> str:
    """Return the outcome: compiled, not compiled, or the reason of a disproof."""
    try:
        form = compile_model(case.model, case.method)
    except CannotCompileError:
        return "not compiled"
    original = getattr(sequential(case.model), case.method)
    proof = prove(original, form, _samples(case, seed=0), lambda _: None, exact=True)
    if not proof.is_proven:
        return f"{proof.reason} ({proof.largest:.2g})" if proof.differing else "covers nothing"
    function = PredictionFunction(original, case.model, case.method)
    function.activate(ActiveForm(form.predict, _ALL_ROWS, {}))
    fresh = _samples(case, seed=seed + 1)
    for data in [*fresh.special(), *fresh.batches(), *_own_rows(case)]:
        _assert_same(case, original, function, data)
    return "compiled"


def _samples(case: RandomModel, seed: int) -> ProbeSamples:
    columns = probe_columns(case.model)
    add_sample(columns, case.frame)
    is_trained_on_arrays = not hasattr(case.model, "feature_names_in_")
    names = list(case.frame.columns)
    return ProbeSamples(
        columns, names, lambda frame: frame, with_arrays=is_trained_on_arrays or _is_sklearn(case), seed=seed
    )


def _is_sklearn(case: RandomModel) -> bool:
    return not type(case.model).__module__.startswith(("xgboost", "lightgbm")) and not hasattr(case.model, "steps")


def _own_rows(case: RandomModel) -> list[Any]:
    """Return rows of the training, alone and together."""
    frame = case.frame
    return [frame, *(frame.iloc[row : row + 1] for row in range(5)), frame.iloc[::-1].iloc[:17]]


def _assert_same(case: RandomModel, original: Any, function: PredictionFunction, data: Any) -> None:
    expected, found = _outcome(original, data), _outcome(function, data)
    if isinstance(expected, str):
        assert found == expected, case.title
    else:
        assert is_equal(expected, found, exact=True) or _equal_objects(expected, found), (case.title, data)


def _outcome(predict: Any, data: Any) -> Any:
    try:
        return predict(data.copy())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _equal_objects(expected: Any, found: Any) -> bool:
    return isinstance(expected, np.ndarray) and expected.dtype.kind != "f" and np.array_equal(expected, found)
