"""What becomes of a random model: compiled, not compiled, or disproved."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from datarobot_drum.drum.compiled_models.comparison import is_equal
from datarobot_drum.drum.compiled_models.compiler import compile_model
from datarobot_drum.drum.compiled_models.forms import CannotCompileError
from datarobot_drum.drum.compiled_models.prediction_function import ActiveForm, PredictionFunction
from datarobot_drum.drum.compiled_models.probe_samples import ProbeSamples
from datarobot_drum.drum.compiled_models.probe_values import add_sample, probe_columns
from datarobot_drum.drum.compiled_models.proof import prove
from datarobot_drum.drum.compiled_models.reference import sequential
from tests.compiled_models.random_models import RandomModel, random_model

_ALL_ROWS = range(1, 2**62)


def outcome_of(seed: int) -> str:
    """Return what became of a random model; fails if its compiled form predicts anything else than the original."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            case = random_model(seed)
        except (ValueError, TypeError):  # these data do not fit this estimator
            return "not fitted"
        return f"{_check(case, seed)}: {case.title}"


def _check(case: RandomModel, seed: int) -> str:
    """Return the outcome: compiled, not compiled, or the reason of a disproof."""
    try:
        form = compile_model(case.model, case.method)
    except CannotCompileError as error:
        return f"not compiled, {error}"
    samples = _samples(case, seed=0)
    reference = getattr(sequential(case.model), case.method)

    def original(data: Any) -> Any:
        return reference(samples.to_original(data))

    proof = prove(original, form, samples, lambda _: None, exact=True)
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
    names = list(case.frame.columns)
    return ProbeSamples(columns, names, lambda frame: frame, reads_arrays=False, seed=seed)


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
        return predict(data.copy(order="K") if isinstance(data, np.ndarray) else data.copy())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _equal_objects(expected: Any, found: Any) -> bool:
    return isinstance(expected, np.ndarray) and expected.dtype.kind != "f" and np.array_equal(expected, found)
