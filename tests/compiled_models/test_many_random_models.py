"""A compiled model predicts the same as the original, or is not used; for hundreds of random models and samples."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("treelite")
pytest.importorskip("lightgbm")
pytest.importorskip("xgboost")

from tests.compiled_models.outcomes import outcome_of

MODELS = int(os.environ.get("DRUM_TEST_COMPILED_MODELS", "100"))
"""How many random models are compiled."""
_BLOCK = 20


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("first", range(0, MODELS, _BLOCK))
def test_compiled_models_predict_the_same_bits_or_are_refused(first: int) -> None:
    outcomes = [outcome_of(seed) for seed in range(first, min(first + _BLOCK, MODELS))]
    assert any(outcome.startswith("compiled") for outcome in outcomes), outcomes
