"""A compiled model predicts the same as the original, or is not used; for a few random models and samples."""

from __future__ import annotations

import pytest

pytest.importorskip("treelite")
pytest.importorskip("lightgbm")
pytest.importorskip("xgboost")

from tests.compiled_models.outcomes import outcome_of


@pytest.mark.filterwarnings("ignore")
def test_compiled_models_predict_the_same_bits_or_are_refused() -> None:
    outcomes = [outcome_of(seed) for seed in range(2)]
    assert any(outcome.startswith("compiled") for outcome in outcomes), outcomes
